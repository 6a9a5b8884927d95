#include "runtime/host/host_executor.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <set>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "runtime/host/cores.hpp"
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

}  // namespace

class HostExecutor::Impl {
 public:
  Impl(const Machine& machine, std::shared_ptr<const HostModel> model, const MemoryPlan& plan, TokenFeed feed,
       Tokens new_tokens)
      : machine_(machine),
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
      threads_ += threads;
      teams_.push_back(std::make_unique<Team>(threads, lane.first_core,
                                              [this, id = lane.id](Team& team) { serve(id, team); }));
    }
  }

  ~Impl() {
    submitted_.fetch_add(1);
    submitted_.notify_all();
    teams_.clear();
  }

  const Capabilities& capabilities() const { return capabilities_; }
  const OpRunner& runner() const { return runner_; }

  void submit(std::shared_ptr<const Step> step) {
    if (!epoch_) epoch_ = Clock::now();
    auto run =
        std::make_shared<StepRun>(std::move(step), machine_.lanes().size(), machine_.channels().size());
    run->start = now();
    run->lanes_left_before = std::exchange(newest_, run->lanes_left);
    waiting_.push_back(run);
    {
      const std::scoped_lock lock(mutex_);
      for (auto& queue : queues_) queue.push_back(run);
    }
    submitted_.fetch_add(1, std::memory_order_release);
    submitted_.notify_all();
  }

  Report wait() {
    HG_CHECK(!waiting_.empty(), "wait() without a submitted step");
    const std::shared_ptr<StepRun> run = std::move(waiting_.front());
    waiting_.pop_front();
    // The driver sleeps: the cores belong to the lanes.
    for (std::uint32_t left = run->lanes_left->load(std::memory_order_acquire); left != 0;) {
      left = wait_while(*run->lanes_left, left, 0);
    }
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
    for (const auto& lane : run->lane_channel_bytes) {
      for (std::size_t i = 0; i < lane.size(); ++i) report.channel_bytes[i] += lane[i];
    }
    return report;
  }

  std::vector<std::string> warnings() const {
    std::vector<std::string> list;
    if (threads_ > cores_taken(machine_)) {
      list.push_back("oversubscribed, not a timing: " + std::to_string(threads_) + " lane threads on " +
                     std::to_string(cores_taken(machine_)) + " cores");
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

  // A lane's leader: takes the steps in the order of submission and executes the lane's ops of each.
  void serve(LaneId lane, Team& team) {
    std::uint32_t served = 0;
    for (;;) {
      wait_while(submitted_, served, 0);
      std::shared_ptr<StepRun> run;
      {
        const std::scoped_lock lock(mutex_);
        if (queues_[lane.index()].empty()) return;  // woken to leave
        run = std::move(queues_[lane.index()].front());
        queues_[lane.index()].pop_front();
      }
      ++served;
      await(run->lanes_left_before.get());
      execute(lane, team, *run);
      if (run->lanes_left->fetch_sub(1, std::memory_order_acq_rel) == 1) run->lanes_left->notify_all();
    }
  }

  // Until all lanes are through with a step; null: there is none.
  static void await(const std::atomic<std::uint32_t>* lanes_left) {
    if (lanes_left == nullptr) return;
    for (std::uint32_t left = lanes_left->load(std::memory_order_acquire); left != 0;) {
      left = wait_while(*lanes_left, left, kFlagSpins);
    }
  }

  void execute(LaneId lane, Team& team, StepRun& run) {
    for (const Op& op : run.step->ops) {
      if (op.lane != lane) continue;
      for (const OpId id : run.step->dependencies_of(op)) wait_while(run.done[id.index()], 0, kFlagSpins);
      OpRecord& record = run.records[op.id.index()];
      record.op = op.id;
      record.start = now();
      if (!failed_.load(std::memory_order_relaxed)) carry_out(op, team, run, record);
      record.end = now();
      run.done[op.id.index()].store(1, std::memory_order_release);
      run.done[op.id.index()].notify_all();
    }
  }

  // A failing op must not leave the other lanes waiting: it is marked done and the step's wait() throws.
  void carry_out(const Op& op, Team& team, StepRun& run, OpRecord& record) {
    try {
      std::vector<Bytes>& tier_bytes = tier_bytes_[op.lane.index()];
      std::fill(tier_bytes.begin(), tier_bytes.end(), 0);
      ByteCounter bytes(machine_, machine_.lane(op.lane).processor, run.lane_channel_bytes[op.lane.index()],
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
  std::shared_ptr<const HostModel> model_;
  std::vector<TierMemory> memory_;
  Throttle throttle_;
  std::vector<std::vector<Bytes>> tier_bytes_;  // by lane: of the op that it carries out
  OpRunner runner_;
  Capabilities capabilities_;
  int threads_ = 0;
  std::optional<Clock::time_point> epoch_;
  std::deque<std::shared_ptr<StepRun>> waiting_;        // the driver's
  std::shared_ptr<std::atomic<std::uint32_t>> newest_;  // lanes_left of the step submitted last

  std::mutex mutex_;  // guards the queues and the failure; taken once per lane and step
  std::vector<std::deque<std::shared_ptr<StepRun>>> queues_;  // by lane
  std::exception_ptr failure_;
  std::atomic<bool> failed_{false};
  std::atomic<std::uint32_t> submitted_{0};
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
