// An executor's steps, with what each took of the system beside time: allocations, and how often the driver's
// thread went to sleep. Links allocation_count.cpp.
#pragma once

#include <sys/resource.h>

#include <memory>
#include <utility>
#include <vector>

#include "core/executor/executor.hpp"
#include "tests/support/allocation_count.hpp"

namespace hybridgen::testing {

struct StepCounts {
  std::size_t ops = 0;
  // Allocations.
  std::int64_t decided = 0;    // by the driver's thread since the step before: deciding, building, recording
  std::int64_t submitted = 0;  // by submit()
  std::int64_t lanes = 0;      // by all other threads of the program, from submit() to the end of the step
  std::int64_t reported = 0;   // by wait(): the report, which the core keeps
  std::int64_t wakeups = 0;    // of the driver's thread between submit() and its return from wait(), as the
                               // operating system counts them
};

class CountingExecutor final : public Executor {
 public:
  explicit CountingExecutor(Executor& inner) : inner_(inner) { count_this_thread(&decided_); }
  ~CountingExecutor() override { count_this_thread(nullptr); }

  const Capabilities& capabilities() const override { return inner_.capabilities(); }
  void submit(std::shared_ptr<const Step> step) override {
    StepCounts step_counts;
    step_counts.ops = step->ops.size();
    step_counts.decided = std::exchange(decided_, 0);
    const std::int64_t others = other_allocations();
    const std::int64_t slept = sleeps();
    count_this_thread(&step_counts.submitted);
    inner_.submit(std::move(step));
    count_this_thread(&ignored_);
    counts_.push_back(step_counts);
    others_before_ = others;
    slept_before_ = slept;
  }
  Report wait() override {
    StepCounts& counts = counts_.back();
    count_this_thread(&counts.reported);
    Report report = inner_.wait();
    counts.wakeups = sleeps() - slept_before_;
    counts.lanes = other_allocations() - others_before_;
    count_this_thread(&decided_);
    return report;
  }
  const std::vector<StepCounts>& counts() const { return counts_; }

 private:
  static std::int64_t sleeps() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
  }

  Executor& inner_;
  std::vector<StepCounts> counts_;
  std::int64_t decided_ = 0;
  std::int64_t ignored_ = 0;
  std::int64_t others_before_ = 0;
  std::int64_t slept_before_ = 0;
};

}  // namespace hybridgen::testing
