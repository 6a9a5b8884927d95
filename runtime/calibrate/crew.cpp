#include "runtime/calibrate/crew.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "runtime/host/cores.hpp"
#include "runtime/host/wait_flag.hpp"

namespace hybridgen {
namespace {

using Clock = std::chrono::steady_clock;

long preemptions() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

}  // namespace

struct Crew::Worker {
  explicit Worker(int core) : thread([this, core] { serve(core); }) {}
  ~Worker() {
    job = nullptr;
    jobs.add(1);
  }
  void serve(int core) {
    pin_to_core(core);
    for (std::uint32_t seen = 0;;) {
      seen = jobs.wait_while(seen, 0);
      if (job == nullptr) return;
      (*job)();
      done.add(1);
    }
  }

  Signal jobs, done;
  const std::function<void()>* job = nullptr;  // null: leave
  std::jthread thread;                         // last: it uses the above
};

Crew::Crew(int cores) {
  for (int core = 0; core < cores; ++core) workers_.push_back(std::make_unique<Worker>(core));
}

Crew::~Crew() = default;

double Crew::seconds(const std::vector<int>& cores, const std::function<void(int)>& work) {
  struct Side {
    Clock::time_point begin, end;
    bool taken = false;
    std::function<void()> job;
    std::uint32_t done_before = 0;
  };
  std::vector<Side> sides(cores.size());
  std::atomic<std::size_t> ready{0};
  for (std::size_t i = 0; i < cores.size(); ++i) {
    sides[i].job = [&, i] {
      ready.fetch_add(1);
      while (ready.load() < cores.size()) cpu_relax();
      const long before = preemptions();
      sides[i].begin = Clock::now();
      work(static_cast<int>(i));
      sides[i].end = Clock::now();
      sides[i].taken = preemptions() != before;
    };
    Worker& worker = *workers_.at(static_cast<std::size_t>(cores[i]));
    sides[i].done_before = worker.done.get();
    worker.job = &sides[i].job;
    worker.jobs.add(1);
  }
  bool taken = false;
  Clock::time_point begin = Clock::time_point::max(), end = Clock::time_point::min();
  for (std::size_t i = 0; i < cores.size(); ++i) {
    workers_[static_cast<std::size_t>(cores[i])]->done.wait_for(sides[i].done_before + 1, 0);
    begin = std::min(begin, sides[i].begin);
    end = std::max(end, sides[i].end);
    taken = taken || sides[i].taken;
  }
  const double span = std::chrono::duration<double>(end - begin).count();
  return taken ? -span : span;
}

}  // namespace hybridgen
