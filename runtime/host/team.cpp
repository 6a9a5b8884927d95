#include "runtime/host/team.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "runtime/host/cores.hpp"

namespace hybridgen {
namespace {

constexpr int kSpins = 4000;  // some 40 us: longer than the gap between two ops of a step

}  // namespace

Team::Team(int threads, int first_core, std::function<void(Team&)> body) : threads_(threads) {
  for (int i = 1; i < threads; ++i) {
    helpers_.emplace_back([this, i, first_core] {
      if (!pin_to_core(first_core + i)) ++unpinned_;
      help(i);
    });
  }
  leader_ = std::jthread([this, first_core, run = std::move(body)] {
    if (!pin_to_core(first_core)) ++unpinned_;
    run(*this);
    leave_.store(true);
    job_.add(1);
  });
}

Team::~Team() {
  if (leader_.joinable()) leader_.join();
}

void Team::parallel(std::int64_t count, std::int64_t grain, const WorkRef& work) {
  if (threads_ == 1 || count <= grain) {
    work(0, 0, count);
    return;
  }
  work_ = work;
  count_ = count;
  grain_ = grain;
  shares_given_ += static_cast<std::uint32_t>(threads_ - 1);
  job_.add(1);
  share(0);
  shares_done_.wait_for(shares_given_, kSpins);
  if (failed_.exchange(false)) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Team::each(std::int64_t items, const WorkRef& work) {
  std::atomic<std::int64_t> next{0};
  parallel(threads_, 1, [&](int thread, std::int64_t, std::int64_t) {
    for (std::int64_t item = next++; item < items; item = next++) work(thread, item, item + 1);
  });
}

void Team::share(int thread) {
  const std::int64_t grains = (count_ + grain_ - 1) / grain_;
  const std::int64_t begin = std::min(count_, grains * thread / threads_ * grain_);
  const std::int64_t end = std::min(count_, grains * (thread + 1) / threads_ * grain_);
  if (begin >= end) return;
  try {
    work_(thread, begin, end);
  } catch (...) {  // the first one is thrown by parallel(), when nobody uses the work any more
    if (!failed_.exchange(true)) failure_ = std::current_exception();
  }
}

std::uint32_t Team::next_job(std::uint32_t seen) const {
  constexpr int kYieldEvery = 64;  // looks
  for (int look = 1; alert_.load(std::memory_order_relaxed) && job_.get() == seen; ++look) {
    if (look % kYieldEvery == 0) {
      std::this_thread::yield();
    } else {
      cpu_relax();
    }
  }
  return job_.wait_while(seen, kSpins);
}

void Team::help(int thread) {
  std::uint32_t seen = 0;
  for (;;) {
    seen = next_job(seen);
    if (leave_.load()) return;
    share(thread);
    shares_done_.add(1);
  }
}

}  // namespace hybridgen
