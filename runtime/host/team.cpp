#include "runtime/host/team.hpp"

#include <algorithm>
#include <utility>

#include "runtime/host/cores.hpp"
#include "runtime/host/wait_flag.hpp"

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
    job_.fetch_add(1);
    job_.notify_all();
  });
}

Team::~Team() {
  if (leader_.joinable()) leader_.join();
}

void Team::parallel(std::int64_t count, std::int64_t grain,
                    const std::function<void(int, std::int64_t, std::int64_t)>& work) {
  if (threads_ == 1 || count <= grain) {
    work(0, 0, count);
    return;
  }
  work_ = &work;
  count_ = count;
  grain_ = grain;
  busy_.store(static_cast<std::uint32_t>(threads_ - 1));
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  share(0);
  for (std::uint32_t left = busy_.load(std::memory_order_acquire); left != 0;) {
    left = wait_while(busy_, left, kSpins);
  }
  if (failed_.exchange(false)) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Team::share(int thread) {
  const std::int64_t grains = (count_ + grain_ - 1) / grain_;
  const std::int64_t begin = std::min(count_, grains * thread / threads_ * grain_);
  const std::int64_t end = std::min(count_, grains * (thread + 1) / threads_ * grain_);
  if (begin >= end) return;
  try {
    (*work_)(thread, begin, end);
  } catch (...) {  // the first one is thrown by parallel(), when nobody uses the work any more
    if (!failed_.exchange(true)) failure_ = std::current_exception();
  }
}

void Team::help(int thread) {
  std::uint32_t seen = 0;
  for (;;) {
    seen = wait_while(job_, seen, kSpins);
    if (leave_.load()) return;
    share(thread);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
  }
}

}  // namespace hybridgen
