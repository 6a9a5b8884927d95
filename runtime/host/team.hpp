// A lane's thread group: a leader that executes ops in order and helpers that share the work of one op with
// it.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "runtime/host/wait_flag.hpp"
#include "runtime/host/work_ref.hpp"

namespace hybridgen {

class Team {
 public:
  // threads >= 1; thread i is pinned to core first_core + i. The leader runs `body` and is pinned as well.
  Team(int threads, int first_core, std::function<void(Team&)> body);
  // Joins all threads; the body must be on its way to return.
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int threads() const { return threads_; }
  // Threads that the operating system did not let be pinned.
  int unpinned() const { return unpinned_.load(); }
  // Only from the leader: calls work(thread, begin, end) once per thread with an equal share of [0, count)
  // and returns when all are done. Shares are multiples of `grain` but for the last. Takes no memory.
  void parallel(std::int64_t count, std::int64_t grain, const WorkRef& work);
  // The same for items of unequal size: work(thread, item, item + 1), each item by the thread that is free
  // first.
  void each(std::int64_t items, const WorkRef& work);
  // Only from the leader. While on, helpers without work keep looking for some, giving way to whoever else
  // wants their core, instead of going to sleep: within a step a lane often waits for other lanes for longer
  // than a helper spins, and waking sleepers costs each op behind such a gap tens of microseconds.
  void stay_alert(bool on) { alert_.store(on, std::memory_order_relaxed); }

 private:
  void help(int thread);
  std::uint32_t next_job(std::uint32_t seen) const;
  void share(int thread);

  int threads_;
  std::atomic<int> unpinned_{0};
  Signal job_;          // raised once per parallel(); the last one is the order to leave
  Signal shares_done_;  // by helpers, over all jobs
  std::uint32_t shares_given_ = 0;
  std::atomic<bool> leave_{false};
  std::atomic<bool> alert_{false};
  WorkRef work_;
  std::int64_t count_ = 0;
  std::int64_t grain_ = 1;
  std::atomic<bool> failed_{false};  // somebody's share threw; failure_ is what
  std::exception_ptr failure_;
  std::vector<std::jthread> helpers_;
  std::jthread leader_;
};

}  // namespace hybridgen
