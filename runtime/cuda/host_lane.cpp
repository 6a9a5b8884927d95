#include "runtime/cuda/host_lane.hpp"

#include <algorithm>
#include <atomic>

#include "runtime/cuda/mapped_flag.hpp"
#include "runtime/host/cores.hpp"

namespace hybridgen::cuda {

HostLane::HostLane(const Machine& machine, const HostOps& ops, std::vector<RequestBuffers>& slots,
                   DeviceState& state, std::function<TimeNs()> now)
    : machine_(machine), ops_(ops), slots_(slots), state_(state), now_(std::move(now)) {
  const Lane& lane = machine.lane(machine.lane_of(Role::host));
  team_ =
      std::make_unique<Team>(std::max(1, lane.threads), lane.first_core, [this](Team& team) { serve(team); });
}

HostLane::~HostLane() {
  raise(*state_.abandon, 1);
  leaving_.store(true);
  submitted_.fetch_add(1);
  submitted_.notify_all();
  team_.reset();
}

void HostLane::start(std::shared_ptr<CudaStepRun> run) {
  {
    const std::scoped_lock lock(mutex_);
    queue_.push_back(std::move(run));
  }
  submitted_.fetch_add(1, std::memory_order_release);
  submitted_.notify_all();
}

void HostLane::wait(CudaStepRun& run) {
  wait_while(run.host_done, 0, 0);
  const std::scoped_lock lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

void HostLane::serve(Team& team) {
  for (std::uint32_t served = 0;; ++served) {
    wait_while(submitted_, served, 0);
    if (leaving_.load()) return;
    std::shared_ptr<CudaStepRun> run;
    {
      const std::scoped_lock lock(mutex_);
      run = std::move(queue_.front());
      queue_.pop_front();
    }
    team.stay_alert(team.threads() < usable_cores());  // else they would take the driver's core
    for (const Op& op : run->step->ops) {
      if (run->joins->ops[op.id.index()].stream == kHostLane) carry_out(*run, op, team);
    }
    team.stay_alert(false);
    run->host_done.store(1, std::memory_order_release);
    run->host_done.notify_all();
  }
}

// A failing op must leave nobody waiting: the streams abandon their waits and the step's wait() throws.
void HostLane::carry_out(CudaStepRun& run, const Op& op, Team& team) {
  OpRecord& record = run.records[op.id.index()];
  record.op = op.id;
  const bool ready = wait_for_streams(run, op);
  record.start = now_();
  if (ready) {
    try {
      take_choice(run, op);
      ByteCounter bytes(machine_, machine_.lane(op.lane).processor, run.channel_bytes);
      const std::int64_t count = ops_.run({*run.step, op, team, bytes}, slots_.at(op.slot.index()));
      if (op.produces.valid()) run.outcomes[op.produces.index()] = count;
      if (op.kind == OpKind::select) publish_choice(run, op);
      record.bytes = bytes.total();
    } catch (...) {
      raise(*state_.abandon, 1);
      const std::scoped_lock lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
  record.end = now_();
  if (run.joins->ops[op.id.index()].raises_flag) {
    raise(state_.flags[op.id.index() * kFlagStride], run.sequence);
  }
}

// Where the card chooses, its choice lies in mapped memory once it has been sent down.
void HostLane::take_choice(CudaStepRun& run, const Op& op) {
  const bool packs = op.kind == OpKind::pack_keys || op.kind == OpKind::pack_rows;
  if (!packs || state_.host_counts == nullptr) return;
  std::vector<std::int64_t>& counts = slots_.at(op.slot.index()).exchange(op.work.buffer).counts;
  std::int32_t& count = state_.host_counts[state_.count_at(op.slot.index(), op.work.buffer)];
  std::fill(counts.begin(), counts.end(), std::atomic_ref(count).load(std::memory_order_relaxed));
  publish_choice(run, op);
}

bool HostLane::wait_for_streams(const CudaStepRun& run, const Op& op) {
  for (const OpId id : run.joins->ops[op.id.index()].flag_waits) {
    if (!wait_until_raised(state_.flags[id.index() * kFlagStride], run.sequence, *state_.abandon))
      return false;
  }
  return std::atomic_ref(*state_.abandon).load(std::memory_order_relaxed) == 0;
}

// Where each head's rows begin among the packed ones: kernels read it from mapped memory behind the op's
// flag.
void HostLane::publish_choice(CudaStepRun& run, const Op& op) {
  const Exchange& request = slots_.at(op.slot.index()).exchange(op.work.buffer);
  std::int32_t* offsets = state_.host_offsets + state_.offsets_at(op.slot.index(), op.work.buffer);
  offsets[0] = 0;
  for (std::size_t head = 0; head < request.counts.size(); ++head) {
    offsets[head + 1] = offsets[head] + static_cast<std::int32_t>(request.counts[head]);
  }
  run.chosen.at(op.slot.index()).at(static_cast<std::size_t>(op.layer)) = offsets[request.counts.size()];
}

}  // namespace hybridgen::cuda
