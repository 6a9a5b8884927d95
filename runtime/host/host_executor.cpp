#include "runtime/host/host_executor.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <optional>
#include <set>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "runtime/host/cores.hpp"
#include "runtime/host/fifo.hpp"
#include "runtime/host/op_runner.hpp"
#include "runtime/host/step_run.hpp"
#include "runtime/host/throttle.hpp"
#include "runtime/host/tier_placement.hpp"
#include "runtime/host/wait_flag.hpp"

namespace hybridgen {
namespace {

constexpr int kFlagSpins =
    20'000;  // some 0.2 ms: a lane that waits for the other one's scan should not fall asleep

int most_threads(const Machine& machine, std::initializer_list<Role> roles) {
  int most = 1;
  for (const Role role : roles) most = std::max(most, machine.lane(machine.lane_of(role)).threads);
  return most;
}

std::vector<TierMemory> memory_of(const Machine& machine) {
  std::vector<TierMemory> memory;
  for (const Tier& tier : machine.tiers()) memory.emplace_back(tier.name, source_of(machine, tier.id));
  return memory;
}

constexpr int kMostThreadsPerCore =
    4;  // more is a slip of the pen, and threads are started before anything is checked

void check_playable(const Machine& machine) {
  for (const Processor& processor : machine.processors()) {
    if (processor.kind == ProcessorKind::gpu) {
      throw NotAvailable("platform " + machine.name() + " has a GPU (" + processor.name +
                         ") and this program drives none here; simulate it, or run on a platform written by "
                         "`hybridgen calibrate`");
    }
  }
  for (const Lane& lane : machine.lanes()) {
    if (lane.threads > kMostThreadsPerCore * usable_cores()) {
      throw NotAvailable("platform " + machine.name() + ": lane " + lane.name + " wants " +
                         std::to_string(lane.threads) + " threads, this machine has " +
                         std::to_string(usable_cores()) + " cores; calibrate here");
    }
  }
}

// Cores that at least one lane thread is pinned to: first_core beyond the machine's wraps around.
int cores_taken(const Machine& machine) {
  std::set<int> cores;
  for (const Lane& lane : machine.lanes()) {
    for (int i = 0; i < std::max(1, lane.threads); ++i) cores.insert((lane.first_core + i) % usable_cores());
  }
  return static_cast<int>(cores.size());
}

int threads_of(const Machine& machine) {
  int threads = 0;
  for (const Lane& lane : machine.lanes()) threads += std::max(1, lane.threads);
  return threads;
}

}  // namespace

class HostExecutor::Impl {
 public:
  Impl(const Machine& machine, std::shared_ptr<const HostModel> model, const MemoryPlan& plan, TokenFeed feed,
       Tokens new_tokens)
      : machine_(machine),
        threads_(threads_of(machine)),
        cores_(cores_taken(machine)),
        model_(std::move(model)),
        memory_(memory_of(machine)),
        throttle_(machine),
        tier_bytes_(machine.lanes().size(), std::vector<Bytes>(machine.tiers().size())),
        runner_(*model_, plan, std::move(feed), new_tokens, memory_, most_threads(machine, {Role::device}),
                most_threads(machine, {Role::host})) {
    capabilities_.executor = "host";
    capabilities_.kinds.fill(true);
    queues_.resize(machine.lanes().size());
    for (const Lane& lane : machine.lanes()) {
      const int threads = std::max(1, lane.threads);
      teams_.push_back(std::make_unique<Team>(threads, lane.first_core,
                                              [this, id = lane.id](Team& team) { serve(id, team); }));
    }
  }

  ~Impl() {
    submitted_.add(1);
    teams_.clear();
  }

  const Capabilities& capabilities() const { return capabilities_; }
  const OpRunner& runner() const { return runner_; }

  void submit(std::shared_ptr<const Step> step) {
    if (!epoch_) epoch_ = Clock::now();
    StepRun* run = idle_run();
    run->begin(std::move(step), sequence_++, now());
    waiting_.push(run);
    {
      const std::scoped_lock lock(mutex_);
      for (auto& queue : queues_) queue.push(run);
    }
    submitted_.add(1);
  }

  Report wait() {
    HG_CHECK(!waiting_.empty(), "wait() without a submitted step");
    StepRun* run = waiting_.pop();
    ended_.wait_for(run->sequence + 1, 0);  // the driver sleeps: the cores belong to the lanes
    {
      const std::scoped_lock lock(mutex_);
      if (failure_) std::rethrow_exception(failure_);
    }
    Report report;
    report.step = run->step->id;
    report.start = run->start;
    report.records = run->records;
    for (const OpRecord& record : report.records) report.end = std::max(report.end, record.end);
    report.outcomes = run->outcomes;
    report.channel_bytes.resize(machine_.channels().size());
    for (const LaneRun& lane : run->lanes) {
      for (std::size_t i = 0; i < report.channel_bytes.size(); ++i) {
        report.channel_bytes[i] += lane.channel_bytes[i];
      }
    }
    run->step.reset();
    idle_.push_back(run);
    return report;
  }

  std::vector<std::string> warnings() const {
    std::vector<std::string> list;
    if (threads_ > cores_) {
      list.push_back("oversubscribed, not a timing: " + std::to_string(threads_) + " lane threads on " +
                     std::to_string(cores_) + " cores");
    }
    int unpinned = 0;
    for (const auto& team : teams_) unpinned += team->unpinned();
    if (unpinned > 0)
      list.push_back(std::to_string(unpinned) + " lane threads could not be pinned to a core");
    return list;
  }

 private:
  using Clock = std::chrono::steady_clock;

  TimeNs now() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - *epoch_).count();
  }

  // One that no lane looks at any more: its step was reported.
  StepRun* idle_run() {
    if (idle_.empty()) {
      runs_.push_back(std::make_unique<StepRun>(machine_.lanes().size(), machine_.channels().size()));
      idle_.reserve(runs_.size());
      idle_.push_back(runs_.back().get());
    }
    StepRun* run = idle_.back();
    idle_.pop_back();
    return run;
  }

  // A lane's leader: takes the steps in the order of submission and executes the lane's ops of each.
  void serve(LaneId lane, Team& team) {
    for (std::uint32_t served = 0;; ++served) {
      submitted_.wait_for(served + 1, 0);
      StepRun* run = nullptr;
      {
        const std::scoped_lock lock(mutex_);
        if (queues_[lane.index()].empty()) return;  // woken to leave
        run = queues_[lane.index()].pop();
      }
      const std::uint32_t sequence = run->sequence;
      ended_.wait_for(sequence, kFlagSpins);  // all lanes are through with the step before
      team.stay_alert(threads_ <= cores_);    // else a lane that waits would take another's core
      execute(lane, team, *run);
      team.stay_alert(false);
      // The last use of the run by this lane; the driver may take it for another step.
      if (run->lanes_left.fetch_sub(1, std::memory_order_acq_rel) == 1) ended_.set(sequence + 1);
    }
  }

  void execute(LaneId lane, Team& team, StepRun& run) {
    LaneRun& mine = run.lanes[lane.index()];
    for (const OpId id : mine.ops) {
      const Op& op = run.step->ops[id.index()];
      for (const OpId before : run.step->dependencies_of(op)) {
        const LaneId other = run.step->ops[before.index()].lane;
        if (other == lane) continue;  // it came before on this lane
        run.lanes[other.index()].ended.wait_for(static_cast<std::uint32_t>(before.value) + 1, kFlagSpins);
      }
      OpRecord& record = run.records[id.index()];
      record = {id, now(), 0, 0};
      if (!failed_.load(std::memory_order_relaxed)) carry_out(op, team, run, record);
      record.end = now();
      mine.ended.set(static_cast<std::uint32_t>(id.value) + 1);
    }
  }

  // A failing op must not leave the other lanes waiting: it is marked done and the step's wait() throws.
  void carry_out(const Op& op, Team& team, StepRun& run, OpRecord& record) {
    try {
      std::vector<Bytes>& tier_bytes = tier_bytes_[op.lane.index()];
      std::fill(tier_bytes.begin(), tier_bytes.end(), 0);
      ByteCounter bytes(machine_, machine_.lane(op.lane).processor, run.lanes[op.lane.index()].channel_bytes,
                        &tier_bytes);
      const std::int64_t count = runner_.run({*run.step, op, team, bytes});
      if (op.produces.valid()) run.outcomes[op.produces.index()] = count;
      record.bytes = bytes.total();
      const TimeNs end = throttle_.end_of(record.start, tier_bytes);
      while (now() < end) cpu_relax();
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      if (!failed_.exchange(true)) failure_ = std::current_exception();
    }
  }

  const Machine& machine_;
  const int threads_, cores_;  // of all lanes
  std::shared_ptr<const HostModel> model_;
  std::vector<TierMemory> memory_;
  Throttle throttle_;
  std::vector<std::vector<Bytes>> tier_bytes_;  // by lane: of the op that it carries out
  OpRunner runner_;
  Capabilities capabilities_;
  std::optional<Clock::time_point> epoch_;

  // The driver's.
  std::vector<std::unique_ptr<StepRun>> runs_;  // as many as were ever in flight at once
  std::vector<StepRun*> idle_;
  Fifo<StepRun*> waiting_;
  std::uint32_t sequence_ = 0;  // of the next step

  std::mutex mutex_;                    // guards the queues and the failure; taken once per lane and step
  std::vector<Fifo<StepRun*>> queues_;  // by lane
  std::exception_ptr failure_;
  std::atomic<bool> failed_{false};
  Signal submitted_;                          // steps, and one more: to leave
  Signal ended_;                              // steps that all lanes are through with
  std::vector<std::unique_ptr<Team>> teams_;  // last: their threads use all of the above
};

HostExecutor::HostExecutor(const Machine& machine, std::shared_ptr<const HostModel> model,
                           const MemoryPlan& plan, TokenFeed feed, Tokens new_tokens) {
  check(machine, plan, Weights::placed);
  impl_ = std::make_unique<Impl>(machine, std::move(model), plan, std::move(feed), new_tokens);
}

HostExecutor::~HostExecutor() = default;

void HostExecutor::check(const Machine& machine, const MemoryPlan& plan, Weights weights) {
  check_playable(machine);
  check_placement(machine, plan, weights);
}

const Capabilities& HostExecutor::capabilities() const {
  return impl_->capabilities();
}
void HostExecutor::submit(std::shared_ptr<const Step> step) {
  impl_->submit(std::move(step));
}
Report HostExecutor::wait() {
  return impl_->wait();
}
const RequestBuffers& HostExecutor::buffers(SlotId slot) const {
  return impl_->runner().buffers(slot);
}
const std::vector<std::int32_t>& HostExecutor::tokens(RequestId request) const {
  return impl_->runner().tokens(request);
}
std::vector<std::string> HostExecutor::warnings() const {
  return impl_->warnings();
}

}  // namespace hybridgen
