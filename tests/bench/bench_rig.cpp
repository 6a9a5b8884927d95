#include "tests/bench/bench_rig.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "runtime/host/cores.hpp"
#include "runtime/kernels/convert.hpp"
#include "tests/bench/roofline.hpp"

namespace hybridgen::kernels {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSamples = 301;
constexpr int kPairSamples = 61;
constexpr double kPatienceSeconds = 3.0;  // per row; on a crowded machine fewer samples are kept

long preemptions() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

template <class Function>
double seconds_of(const Function& function) {
  const auto start = Clock::now();
  function();
  return seconds_since(start);
}

double at(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0.0
                        : values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

double spread_of(const std::vector<double>& values) {
  const double middle = at(values, 0.5);
  return middle > 0 ? (at(values, 0.9) - at(values, 0.1)) / middle : 0;
}

// Runs function(0) and function(1) at once on cores 0 and 1; the time until the later one ends, or a negative
// number where either core was taken away.
template <class Function>
double seconds_of_both(const Function& function) {
  std::atomic<int> ready{0};
  std::atomic<bool> taken{false};
  Clock::time_point begin[2], end[2];
  const auto side = [&](int thread) {
    ready.fetch_add(1);
    while (ready.load() < 2) {
    }
    const long before = preemptions();  // not those of the wait: the other thread may start on this core
    begin[thread] = Clock::now();
    function(thread);
    end[thread] = Clock::now();
    if (preemptions() != before) taken = true;
  };
  std::thread other([&] {
    pin_to_core(1);
    side(1);
  });
  side(0);
  other.join();
  const double seconds =
      std::chrono::duration<double>(std::max(end[0], end[1]) - std::min(begin[0], begin[1])).count();
  return taken ? -1.0 : seconds;
}

}  // namespace

BenchRig::BenchRig() : arena_(memory_.allocate(kArenaBytes)) {
  pin_to_core(0);
  // Repeats at an odd distance, so that no two rows a power of two apart are equal.
  constexpr std::int64_t kPattern = (std::int64_t{4} << 20) + 192;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> values(kPattern / 2);
  for (float& value : values) value = uniform(random);
  convert(values.data(), reinterpret_cast<Half*>(arena_), kPattern / 2);
  for (std::int64_t i = kPattern; i < kArenaBytes; i += kPattern) {
    std::memcpy(arena_ + i, arena_, static_cast<std::size_t>(std::min(kPattern, kArenaBytes - i)));
  }
}

const std::byte* BenchRig::fresh(std::int64_t bytes, int thread) {
  const std::int64_t first = thread == 1 ? kArenaBytes / 2 : 0;
  const std::int64_t end = halves_ && thread == 0 ? kArenaBytes / 2 : kArenaBytes;
  std::int64_t& next = next_[thread];
  if (next + bytes > end) next = first;
  const std::byte* data = arena_ + next;
  next += bytes;
  return data;
}

double BenchRig::peak_rate() {
  return static_cast<double>(kPeakFmas) / seconds_of(peak_fmas);
}

Speed BenchRig::one_core(const Work& work) {
  halves_ = false;
  const std::int64_t window = work.window ? work.window : work.bytes;
  const auto read = [&] {
    const std::byte* data = fresh(work.bytes, 0);
    return seconds_of([&] { read_in_order(data, work.bytes); });
  };
  std::vector<double> rates, reads, shares, peaks;
  Speed speed;
  const auto start = Clock::now();
  while (static_cast<int>(rates.size()) < kSamples && seconds_since(start) < kPatienceSeconds) {
    const long before = preemptions();
    const double read_before = read();
    const std::byte* data = fresh(window, 0);
    const double seconds = seconds_of([&] { work.call(data, 0); });
    const double reading = (read_before + read()) / 2;
    const double peak = peak_rate();
    if (preemptions() != before) {
      ++speed.dropped;
      continue;
    }
    peaks.push_back(peak);
    rates.push_back(static_cast<double>(work.bytes) / seconds);
    reads.push_back(static_cast<double>(work.bytes) / reading);
    shares.push_back(std::max(reading, static_cast<double>(work.fmas) / at(peaks, 0.5)) / seconds);
  }
  fma_rate_ = at(peaks, 0.5);
  speed.rate = at(rates, 0.5);
  speed.read = at(reads, 0.5);
  speed.roof = speed.read;
  if (work.fmas > 0) {
    speed.roof =
        std::min(speed.roof, fma_rate_ * static_cast<double>(work.bytes) / static_cast<double>(work.fmas));
  }
  speed.share = at(shares, 0.5);
  speed.spread = spread_of(shares);
  speed.samples = static_cast<int>(rates.size());
  return speed;
}

Speed BenchRig::two_cores(const Work& work) {
  Speed speed;
  if (usable_cores() < 2) return speed;
  halves_ = true;
  const std::int64_t window = work.window ? work.window : work.bytes;
  const auto bytes = static_cast<double>(work.bytes);
  std::vector<double> rates, reads, shares;
  const auto start = Clock::now();
  while (static_cast<int>(rates.size()) < kPairSamples && seconds_since(start) < kPatienceSeconds) {
    const std::byte* to_read[2] = {fresh(work.bytes, 0), fresh(work.bytes, 1)};
    const std::byte* data[2] = {fresh(window, 0), fresh(window, 1)};
    const double reading = seconds_of_both([&](int thread) { read_in_order(to_read[thread], work.bytes); });
    const double seconds = seconds_of_both([&](int thread) { work.call(data[thread], thread); });
    if (reading < 0 || seconds < 0) {
      ++speed.dropped;
      continue;
    }
    rates.push_back(2 * bytes / seconds);
    reads.push_back(2 * bytes / reading);
    shares.push_back(std::max(reading, static_cast<double>(work.fmas) / fma_rate_) / seconds);
  }
  speed.rate = at(rates, 0.5);
  speed.read = at(reads, 0.5);
  speed.share = at(shares, 0.5);
  speed.spread = spread_of(shares);
  speed.samples = static_cast<int>(rates.size());
  return speed;
}

double BenchRig::ratio(const Work& a, const Work& b, double& spread) {
  halves_ = false;
  std::vector<double> ratios;
  const auto start = Clock::now();
  const auto run = [&](const Work& work) {
    const std::byte* data = fresh(work.bytes, 0);
    return seconds_of([&] { work.call(data, 0); });
  };
  while (static_cast<int>(ratios.size()) < kSamples && seconds_since(start) < kPatienceSeconds) {
    const long before = preemptions();
    const double b_before = run(b), seconds = run(a), b_after = run(b);
    if (preemptions() == before) ratios.push_back(2 * seconds / (b_before + b_after));
  }
  spread = spread_of(ratios);
  return at(ratios, 0.5);
}

}  // namespace hybridgen::kernels
