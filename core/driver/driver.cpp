#include "core/driver/driver.hpp"

#include <algorithm>

#include "core/executor/check_step.hpp"
#include "core/residency/fits.hpp"

namespace hybridgen {
namespace {

// Everything below indexes by what the report says, so nothing of it is taken on trust.
void check_report(const Report& report, const Step& step, const Machine& machine) {
  HG_CHECK(report.step == step.id && report.records.size() == step.ops.size(),
           "the report is not of step " << step.id.value);
  for (std::size_t i = 0; i < report.records.size(); ++i) {
    const OpRecord& record = report.records[i];
    HG_CHECK(record.op.index() == i && record.start <= record.end && record.bytes >= 0,
             "step " << step.id.value << " op " << i << ": the record is of op " << record.op.value << ", "
                     << record.start << " to " << record.end << " ns, " << record.bytes << " bytes");
  }
  HG_CHECK(report.outcomes.size() == step.outcomes.size(),
           "step " << step.id.value << " has " << step.outcomes.size() << " outcomes, the report "
                   << report.outcomes.size());
  for (const Outcome& outcome : step.outcomes) {
    const std::int64_t count = report.outcomes[outcome.id.index()];
    HG_CHECK(outcome.least <= count && count <= outcome.bound,
             "outcome " << outcome.id.value << " of op " << outcome.producer.value << " is " << count
                        << ", bound " << outcome.bound);
  }
  HG_CHECK(report.channel_bytes.size() == machine.channels().size(),
           "step " << step.id.value << ": bytes of " << report.channel_bytes.size() << " channels, not of "
                   << machine.channels().size());
}

}  // namespace

Driver::Driver(const Machine& machine, const ModelShape& model, const WorkloadShape& workload, Policy& policy,
               Executor& executor)
    : machine_(machine),
      policy_(policy),
      executor_(executor),
      layers_(model.layers),
      residency_(machine, kv_row_bytes(model, policy.memory_plan().kv_dtype), model.layers,
                 static_cast<int>(workload.requests.size())) {
  check_fits(machine, policy.memory_plan());
  // What does not move is reserved; KV grows into its reservation as tokens arrive.
  for (const Reservation& r : policy.memory_plan().reservations) {
    const bool grows =
        r.purpose == Purpose::device_kv || r.purpose == Purpose::host_k || r.purpose == Purpose::host_v;
    if (grows) continue;
    const auto shortage = is_working_memory(r.purpose) ? residency_.withhold(r.tier, r.bytes)
                                                       : residency_.reserve(r.tier, r.bytes);
    HG_CHECK(!shortage, name_of(r.purpose) << " did not fit after the check");
  }
  for (const RequestShape& request : workload.requests) {
    RequestView view;
    view.id = RequestId(static_cast<std::int64_t>(requests_.size()));
    view.prompt_tokens = request.prompt_tokens;
    view.new_tokens = request.new_tokens;
    requests_.push_back(view);
  }
}

bool Driver::advance() {
  const Decision decision = next_decision();
  if (decision.rows.empty()) return false;
  add_to(hash_, decision);
  apply(decision);
  const auto step = std::make_shared<const Step>(policy_.build(decision));
  check_step(*step, machine_, executor_.capabilities());
  executor_.submit(step);
  const Report report = executor_.wait();
  check_report(report, *step, machine_);
  finish(*step, decision, report);
  learn(*step, report);
  record(*step, decision, report);
  ++steps_;
  return true;
}

const Timeline& Driver::run(const std::function<void(const StepEvent&)>& on_step) {
  while (advance()) {
    if (on_step) on_step(timeline_.steps.back());
  }
  return timeline_;
}

Decision Driver::next_decision() {
  const StepId id(steps_);
  if (!forced_) return policy_.decide({id, requests_, estimator_, times_});
  if (static_cast<std::size_t>(steps_) == forced_->size()) return {id, {}, {}};
  return (*forced_)[static_cast<std::size_t>(steps_)];
}

// Eviction first: the room it makes is the new token's. What is dropped are cached tokens of the device
// first, then new ones, which never get room.
void Driver::apply(const Decision& decision) {
  const MemoryPlan& plan = policy_.memory_plan();
  for (const RequestDecision& row : decision.rows) {
    RequestView& request = requests_.at(row.request.index());
    const Tokens released = std::min(row.drop_tokens, request.device_tokens);
    const Tokens to_device = row.device_tokens - request.device_tokens + row.evict_tokens + released;
    const Tokens to_host = row.host_tokens - request.host_tokens - row.evict_tokens;
    HG_CHECK(request.cached_tokens == row.first_position && row.evict_tokens >= 0 && row.drop_tokens >= 0 &&
                 row.trim_tokens >= 0 && to_device >= 0 && to_host >= 0 &&
                 to_device + to_host + row.drop_tokens - released == row.query_tokens,
             "step " << decision.step.value << " request " << row.request.value << ": " << row.query_tokens
                     << " new tokens, " << to_device << " to the device, " << to_host << " to the host, "
                     << row.drop_tokens << " dropped, " << released << " of them cached ones");
    take_slot(row);
    for (const KvHalf half : {KvHalf::k, KvHalf::v}) {
      const HostLayers& host = half == KvHalf::k ? plan.k_on_host : plan.v_on_host;
      for (const HostLayers::Share& share : host.shares(layers_)) {
        if (share.layers == 0) continue;
        if (row.evict_tokens > 0) {
          residency_.move(row.request, half, plan.device_tier, share.tier, share.layers * row.evict_tokens);
        }
        if (row.trim_tokens > 0) {
          const int pooled = share.of_the_last(plan.pooled_layers(layers_), layers_);
          residency_.trim(row.request, half, share.tier, pooled * row.trim_tokens);
        }
        if (to_host > 0) residency_.append(row.request, half, share.tier, share.layers * to_host);
      }
      if (released > 0) residency_.release(row.request, half, plan.device_tier, layers_ * released);
      if (to_device > 0) residency_.append(row.request, half, plan.device_tier, layers_ * to_device);
    }
    request.device_tokens = row.device_tokens;
    request.host_tokens = row.host_tokens;
    request.cached_tokens = row.first_position + row.query_tokens;
  }
}

// Decisions may come from a file: what follows relies on a slot of one's own that is large enough.
void Driver::take_slot(const RequestDecision& row) {
  const MemoryPlan& plan = policy_.memory_plan();
  RequestView& request = requests_.at(row.request.index());
  const auto what = [&] {
    return "request " + std::to_string(row.request.value) + " in slot " + std::to_string(row.slot.value);
  };
  HG_CHECK(row.slot.valid() && row.slot.index() < plan.slots.size(), what() << " of " << plan.slots.size());
  if (request.waiting()) {
    for (const RequestView& other : requests_) {
      HG_CHECK(!other.in_flight() || other.slot != row.slot, what()
                                                                 << ", which has request " << other.id.value);
    }
    request.slot = row.slot;
  }
  HG_CHECK(request.slot == row.slot, what() << ", not in its own slot " << request.slot.value);
  const SlotPlan& slot = plan.slots[row.slot.index()];
  HG_CHECK(row.rows_per_head <= slot.exchange_rows_per_head && row.host_tokens <= slot.host_tokens &&
               row.device_tokens <= slot.segment_tokens,
           what() << ": " << row.device_tokens << " device tokens, " << row.host_tokens << " host tokens, "
                  << row.rows_per_head << " rows per head; planned for " << slot.segment_tokens << ", "
                  << slot.host_tokens << ", " << slot.exchange_rows_per_head);
}

void Driver::learn(const Step& step, const Report& report) {
  times_ = {};
  for (const OpRecord& r : report.records) {
    const Op& op = step.ops[r.op.index()];
    const std::int64_t items = op.traffic.items.resolve(report.outcomes);
    estimator_.learn(op.kind, r.end - r.start, r.bytes, items);
    times_.add(op.request, op.kind, r.end - r.start);
  }
  for (const Outcome& outcome : step.outcomes) {
    if (outcome.kind != OutcomeKind::selected_rows) continue;
    estimator_.learn_selected(report.outcomes[outcome.id.index()], outcome.bound);
  }
}

void Driver::finish(const Step& step, const Decision& decision, const Report& report) {
  for (const RequestDecision& row : decision.rows) {
    RequestView& request = requests_.at(row.request.index());
    ++request.generated;
    if (request.generated == request.new_tokens) request.finished = true;
  }
  for (const Outcome& outcome : step.outcomes) {
    const std::int64_t count = report.outcomes[outcome.id.index()];
    if (outcome.kind == OutcomeKind::end_of_sequence && count > 0) {
      requests_.at(outcome.request.index()).finished = true;
    }
  }
  for (const RequestDecision& row : decision.rows) {
    RequestView& request = requests_.at(row.request.index());
    if (!request.finished) continue;
    residency_.drop(row.request);
    request.device_tokens = 0;
    request.host_tokens = 0;
    request.slot = SlotId();
  }
}

void Driver::record(const Step& step, const Decision& decision, const Report& report) {
  StepEvent event;
  event.decision = decision;
  event.structure = structure_hash(step);
  event.start = report.start;
  event.end = report.end;
  event.channel_bytes = report.channel_bytes;
  event.ops.reserve(step.ops.size());
  for (const OpRecord& r : report.records) {
    const Op& op = step.ops[r.op.index()];
    event.ops.push_back({op.id, op.kind, op.lane, op.layer, op.request, r.start, r.end, r.bytes});
  }
  for (const Outcome& outcome : step.outcomes) {
    event.outcomes.push_back(
        {outcome.kind, outcome.request, outcome.layer, outcome.bound, report.outcomes[outcome.id.index()]});
  }
  timeline_.steps.push_back(std::move(event));
  timeline_.decision_hash = hash_.hex();
  timeline_.tier_peak_bytes.clear();
  for (const Tier& tier : machine_.tiers()) timeline_.tier_peak_bytes.push_back(residency_.peak(tier.id));
}

}  // namespace hybridgen
