#include "runtime/cuda/cuda_executor.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "runtime/cuda/card_weights.hpp"
#include "runtime/cuda/cuda_available.hpp"
#include "runtime/cuda/host_lane.hpp"
#include "runtime/cuda/mapped_flag.hpp"
#include "runtime/cuda/moved_bytes.hpp"
#include "runtime/cuda/playable.hpp"
#include "runtime/cuda/random_kv.hpp"
#include "runtime/cuda/stream_lanes.hpp"
#include "runtime/host/cores.hpp"

namespace hybridgen {
namespace {

using namespace cuda;  // NOLINT: this file is the room's front

std::vector<TierMemory> memory_of(const Machine& machine, TierId device_tier) {
  std::vector<TierMemory> memory;
  for (const Tier& tier : machine.tiers()) {
    memory.emplace_back(tier.name, tier.id == device_tier ? device_memory() : mapped_memory());
  }
  return memory;
}

std::vector<RequestBuffers> slots_of(const HostModel& model, const MemoryPlan& plan,
                                     std::vector<TierMemory>& memory) {
  std::vector<RequestBuffers> slots;
  for (std::size_t i = 0; i < plan.slots.size(); ++i) {
    slots.emplace_back(model.shape, plan, SlotId(static_cast<std::int64_t>(i)), memory);
  }
  return slots;
}

int streams_of(const Machine& machine) {
  std::vector<LaneId> lanes;
  for (const Role role : {Role::device, Role::h2d, Role::d2h}) {
    if (std::find(lanes.begin(), lanes.end(), machine.lane_of(role)) == lanes.end()) {
      lanes.push_back(machine.lane_of(role));
    }
  }
  return static_cast<int>(lanes.size());
}

class CudaExecutor final : public RealExecutor {
 public:
  CudaExecutor(const Machine& machine, std::shared_ptr<const HostModel> model, const MemoryPlan& plan,
               TokenFeed feed, Tokens new_tokens, CudaOptions options)
      : machine_(machine),
        model_(std::move(model)),
        plan_(plan),
        feed_(std::move(feed)),
        memory_(memory_of(machine, plan.device_tier)),
        weights_(options.weights != nullptr ? options.weights : weights_on_card(*model_)),
        slots_(slots_of(*model_, plan_, memory_)),
        state_(model_->shape, plan_, feed_, new_tokens, slots_, card_multiprocessors(),
               options.most_query_tokens),
        gpu_ops_(model_->shape, weights_->at, plan_, state_, slots_),
        streams_(gpu_ops_, state_, streams_of(machine), options.graphs),
        anchor_(streams_.anchor()),
        host_ops_(model_->shape, plan_),
        moved_(model_->shape, plan_) {
    capabilities_.executor = "cuda";
    capabilities_.kinds.fill(true);
    for (const auto& prompt : feed_.prompts) {
      tokens_.push_back(prompt);
      tokens_.back().reserve(prompt.size() + static_cast<std::size_t>(new_tokens));
    }
    const int threads = std::max(1, machine.lane(machine.lane_of(Role::host)).threads);
    for (RequestBuffers& slot : slots_) slot.scratch.resize(HostOps::select_scratch(slot.size(), threads));
    if (options.random_kv) fill_with_random_kv(model_->shape, plan_, slots_);
    host_ = std::make_unique<HostLane>(machine, host_ops_, slots_, state_, [this] { return now(); });
  }

  const Capabilities& capabilities() const override { return capabilities_; }
  const std::vector<std::int32_t>& tokens(RequestId request) const override {
    return tokens_.at(request.index());
  }

  void submit(std::shared_ptr<const Step> step) override {
    if (!epoch_) {
      epoch_ = Clock::now();
      card_start_ = since_epoch(anchor_);
    }
    const OffCores beside = off_the_host_lane();
    waiting_.push_back(std::make_shared<CudaStepRun>(std::move(step)));
    if (waiting_.size() == 1) launch(*waiting_.front());
  }

  Report wait() override {
    HG_CHECK(!waiting_.empty(), "wait() without a submitted step");
    const OffCores beside = off_the_host_lane();
    const std::shared_ptr<CudaStepRun> run = waiting_.front();
    try {
      streams_.wait();
    } catch (...) {
      raise(*state_.abandon, 1);  // the host lane must not wait for a card that has stopped
      throw;
    }
    const TimeNs seen = now();
    host_->wait(*run);
    match_clocks(seen);
    take_tokens(*run);
    Report report = report_of(*run);
    waiting_.pop_front();
    if (!waiting_.empty()) launch(*waiting_.front());
    return report;
  }

  std::vector<std::string> warnings() const override {
    std::vector<std::string> list;
    const int threads = machine_.lane(machine_.lane_of(Role::host)).threads;
    if (threads >= usable_cores()) {
      list.push_back("oversubscribed, not a timing: " + std::to_string(threads) +
                     " host lane threads and the driver on " + std::to_string(usable_cores()) + " cores");
    }
    if (allocations_in_steps_ > 0) {
      list.push_back(std::to_string(allocations_in_steps_) +
                     " allocations in steps whose structure had been seen before; there should be none");
    }
    return list;
  }

 private:
  using Clock = std::chrono::steady_clock;

  TimeNs since_epoch(Clock::time_point time) const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time - *epoch_).count();
  }
  TimeNs now() const { return since_epoch(Clock::now()); }

  // The driver spins while it waits.
  OffCores off_the_host_lane() const {
    const Lane& lane = machine_.lane(machine_.lane_of(Role::host));
    return {lane.first_core, std::max(1, lane.threads)};
  }

  void launch(CudaStepRun& run) {
    const std::uint64_t structure = structure_hash(*run.step);
    const std::int64_t asked_before = allocations();
    auto& joins = joins_[structure];
    const bool seen = joins != nullptr;
    if (!joins) joins = std::make_shared<const StepJoins>(joins_of(*run.step, machine_));
    run.joins = joins;
    if (++sequence_ == 0) ++sequence_;  // flags start out as 0
    run.sequence = sequence_;
    run.records.resize(run.step->ops.size());
    run.outcomes.assign(run.step->outcomes.size(), -1);
    run.chosen.assign(slots_.size(),
                      std::vector<std::int64_t>(static_cast<std::size_t>(model_->shape.layers)));
    run.channel_bytes.resize(machine_.channels().size());
    state_.write_params(*run.step, run.sequence, tokens_, feed_.prompts);
    run.start = now();
    // The host lane first: launching blocks when a stream's queue is full, and only the host lane can empty
    // it.
    host_->start(waiting_.front());
    streams_.launch(run, structure);
    if (seen) allocations_in_steps_ += allocations() - asked_before;
  }

  // By the card's clock the step began so long after the one before. The two clocks drift apart by tens of
  // microseconds in a second: the step did not begin before its start was asked for, nor end after that was
  // seen.
  void match_clocks(TimeNs seen) {
    card_start_ += streams_.since_last_start();
    card_start_ =
        std::max(since_epoch(streams_.start_asked()), std::min(card_start_, seen - streams_.whole_step()));
  }

  // The step's sampled tokens join their requests; what the samples, and the card's choices, produce is known
  // by now.
  void take_tokens(CudaStepRun& run) {
    const auto vocab = static_cast<std::size_t>(model_->shape.vocab);
    for (const Op& op : run.step->ops) {
      if (op.kind == OpKind::partial_select && op.produces.valid()) {
        run.outcomes[op.produces.index()] = run.chosen[op.slot.index()][static_cast<std::size_t>(op.layer)];
      }
      if (op.kind != OpKind::sample) continue;
      const std::size_t request = op.request.index();
      const std::int32_t token = state_.sampled[request];
      if (feed_.on_logits) {
        const auto position = static_cast<Tokens>(tokens_[request].size()) - 1;
        feed_.on_logits(op.request, position, {state_.host_logits + request * vocab, vocab});
      }
      tokens_[request].push_back(token);
      if (!op.produces.valid()) continue;
      const auto& ends = feed_.end_tokens;
      run.outcomes[op.produces.index()] = std::find(ends.begin(), ends.end(), token) != ends.end() ? 1 : 0;
    }
  }

  Report report_of(CudaStepRun& run) {
    Report report;
    report.step = run.step->id;
    report.start = report.end = run.start;
    for (const Op& op : run.step->ops) {
      OpRecord& record = run.records[op.id.index()];
      if (run.joins->ops[op.id.index()].stream != kHostLane) record = stream_record(run, op);
      report.end = std::max(report.end, record.end);
    }
    report.records = std::move(run.records);
    report.outcomes = std::move(run.outcomes);
    report.channel_bytes = std::move(run.channel_bytes);
    return report;
  }

  // Dependencies have smaller ids: their records are complete.
  OpRecord stream_record(CudaStepRun& run, const Op& op) const {
    OpRecord record;
    record.op = op.id;
    record.start = std::max(run.start, card_start_);
    for (const OpId id : run.step->dependencies_of(op)) {
      record.start = std::max(record.start, run.records[id.index()].end);
    }
    // The clocks are matched to some microseconds only; an op never ends before it starts.
    record.end = std::max(record.start, card_start_ + streams_.end_of(op.id));
    ByteCounter bytes(machine_, machine_.lane(op.lane).processor, run.channel_bytes);
    const bool of_layer = op.request.valid() && op.layer >= 0;
    const std::int64_t chosen =
        of_layer ? run.chosen[op.slot.index()][static_cast<std::size_t>(op.layer)] : 0;
    moved_.count(*run.step, op, chosen, bytes);
    record.bytes = bytes.total();
    return record;
  }

  const Machine& machine_;
  std::shared_ptr<const HostModel> model_;
  MemoryPlan plan_;
  TokenFeed feed_;
  std::vector<TierMemory> memory_;
  std::shared_ptr<const CardWeights> weights_;
  std::vector<RequestBuffers> slots_;  // by slot
  DeviceState state_;
  GpuOps gpu_ops_;
  StreamLanes streams_;
  std::chrono::steady_clock::time_point anchor_;
  HostOps host_ops_;
  MovedBytes moved_;
  Capabilities capabilities_;
  std::vector<std::vector<std::int32_t>> tokens_;                    // by request
  std::map<std::uint64_t, std::shared_ptr<const StepJoins>> joins_;  // by structure
  std::deque<std::shared_ptr<CudaStepRun>> waiting_;                 // the first one is on the card
  std::optional<Clock::time_point> epoch_;
  TimeNs card_start_ = 0;  // when the current step started on the card, since the epoch
  std::uint32_t sequence_ = 0;
  std::int64_t allocations_in_steps_ = 0;  // of steps whose structure had been seen before
  std::unique_ptr<HostLane> host_;         // last: its threads use all of the above
};

}  // namespace

std::unique_ptr<RealExecutor> make_cuda_executor(const Machine& machine,
                                                 std::shared_ptr<const HostModel> model,
                                                 const MemoryPlan& plan, TokenFeed feed, Tokens new_tokens,
                                                 CudaOptions options) {
  if (const CudaStatus status = cuda_available(); !status.available)
    throw NotAvailable("executor cuda: " + status.text);
  check_playable_by_cuda(machine, model->shape, plan.kv_dtype);
  return std::make_unique<CudaExecutor>(machine, std::move(model), plan, std::move(feed), new_tokens,
                                        options);
}

}  // namespace hybridgen
