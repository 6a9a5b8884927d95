// Watts at rest and at work, by the driver's counter.
#include <chrono>
#include <thread>

#include "runtime/cuda/bench/card_rig.hpp"
#include "runtime/cuda/bench/cuda_bench.hpp"
#include "runtime/cuda/bench/nvml.hpp"
#include "runtime/cuda/kernels/gemm.cuh"

namespace hybridgen::cuda {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Bytes kBuffer = 4LL << 30;
constexpr double kSeconds = 3;  // the counter moves every 20 to 100 ms: long against that

// Watts while `work` is called again and again, and how often it was.
struct Drawn {
  double watts = 0;
  double joules = 0;
  double calls = 0;
};
template <class Work>
Drawn draw(const Nvml& nvml, const Work& work) {
  work();
  Drawn drawn;
  const double before = nvml.joules();
  const auto begin = Clock::now();
  double seconds = 0;
  for (; seconds < kSeconds; seconds = std::chrono::duration<double>(Clock::now() - begin).count()) {
    work();
    ++drawn.calls;
  }
  drawn.joules = nvml.joules() - before;
  drawn.watts = drawn.joules / seconds;
  return drawn;
}

}  // namespace

std::vector<Measurement> measure_energy() {
  const Nvml nvml;
  std::vector<Measurement> figures;
  const auto figure = [&](const char* subject, const char* quantity, const char* unit, double value) {
    figures.push_back({subject, "over 3 s", quantity, unit, value, 0, std::nullopt});
  };
  CardRig rig(kBuffer);
  const Drawn idle = draw(nvml, [] { std::this_thread::sleep_for(std::chrono::milliseconds(50)); });
  figure("a context at rest", "power", "W", idle.watts);
  const TimedCase read = rig.streaming_read();
  const Drawn reading = draw(nvml, [&] { read.seconds(); });
  figure("stream_read", "power", "W", reading.watts);
  // A call reads the buffer once to warm up and three times in between the events.
  figure("stream_read", "energy per byte", "pJ", reading.joules / (reading.calls * 4 * read.work) * 1e12);
  constexpr int kRows = 6144;
  constexpr int kCols = 4096;
  constexpr std::int64_t kTokens = 1024;
  auto* x = rig.memory().array<float>(kTokens * kCols);
  auto* y = rig.memory().array<float>(kTokens * kRows);
  const Drawn multiplying = draw(nvml, [&] {
    rig.seconds_of(8, [&](int) {
      gemm({reinterpret_cast<const Half*>(rig.buffer()), kRows, kCols, x, kCols, y, kRows, nullptr}, kTokens,
           rig.stream());
    });
  });
  figure("gemm", "power", "W", multiplying.watts);
  return figures;
}

}  // namespace hybridgen::cuda
