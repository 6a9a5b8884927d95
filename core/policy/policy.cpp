#include "core/policy/policy.hpp"

#include <algorithm>
#include <utility>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "core/base/saturated.hpp"
#include "core/policy/slots.hpp"
#include "core/policy/working_memory.hpp"
#include "core/residency/exchange.hpp"

namespace hybridgen {
namespace {

template <class Make>
const Make* maker(const char* slot, const std::string& name) {
  if (name.empty()) return nullptr;
  const PartEntry* part = find_part(slot, name);
  HG_CHECK(part != nullptr, slot << " " << name << " is not in the registry");
  return &std::get<Make>(part->make);
}

}  // namespace

Policy::Policy(const Composition& composition, PartContext context, const WorkloadShape& workload)
    : machine_(context.machine), model_(context.model), composition_(composition), workload_(workload) {
  context.most_new_tokens = workload.most_new_tokens();
  const auto device = machine_.tier_of(TierKind::hbm);
  if (!device) throw BadInput("platform " + machine_.name() + " has no hbm tier for weights and device KV");
  plan_.device_tier = *device;
  plan_.kv_dtype = context.kv_dtype;

  AttentionNeeds needs;
  if (const auto* make = maker<MakeSplit>("split", composition.split)) needs.split = (*make)(context);
  if (const auto* make = maker<MakeSelect>("select", composition.select)) needs.select = (*make)(context);
  if (const auto* make = maker<MakePlacement>("placement", composition.placement)) {
    needs.placement = (*make)(context);
  }
  if (const auto* make = maker<MakeLookahead>("lookahead", composition.lookahead)) {
    needs.lookahead = (*make)(context);
  }
  const auto* make = maker<MakeAttention>("attention", composition.attention);
  HG_CHECK(make != nullptr, "a policy needs an attention part");
  attention_ = (*make)(context, std::move(needs));
  const auto* make_admission = maker<MakeAdmission>("admission", composition.admission);
  HG_CHECK(make_admission != nullptr, "a policy needs an admission part");
  admission_ = (*make_admission)(context);
  plan_slots();
  plan_reservations();
}

void Policy::plan_slots() {
  slots_ = slots_for(workload_);
  HG_CHECK(!slots_.empty(), "a workload without requests");
  SlotPlan most;
  for (const RequestShape& largest : slots_) {
    static_cast<SlotPlan&>(plan_) = {};
    attention_->plan_memory(largest, plan_);
    const SlotPlan& slot = plan_.slots.emplace_back(plan_);
    most.segment_tokens = std::max(most.segment_tokens, slot.segment_tokens);
    most.sink_tokens = std::max(most.sink_tokens, slot.sink_tokens);
    most.host_tokens = std::max(most.host_tokens, slot.host_tokens);
    most.staging_tokens = std::max(most.staging_tokens, slot.staging_tokens);
    most.exchange_rows_per_head = std::max(most.exchange_rows_per_head, slot.exchange_rows_per_head);
    most.pages = std::max(most.pages, slot.pages);
    most.pool_slots = std::max(most.pool_slots, slot.pool_slots);
  }
  static_cast<SlotPlan&>(plan_) = most;
}

void Policy::reserve(TierId tier, Purpose purpose, std::initializer_list<Bytes> factors) {
  const Bytes bytes = saturated_product(factors);
  if (bytes > 0) plan_.reservations.push_back({tier, purpose, bytes});
}

std::int64_t Policy::of_all_slots(std::int64_t SlotPlan::*size) const {
  std::int64_t sum = 0;
  for (const SlotPlan& slot : plan_.slots) sum = std::min(kMoreThanAnything, sum + slot.*size);
  return sum;
}

void Policy::plan_reservations() {
  const Bytes row = kv_row_bytes(model_, plan_.kv_dtype);
  const Bytes layers = model_.layers;
  reserve(plan_.device_tier, Purpose::weights, {model_.weight_bytes()});
  if (plan_.lookahead.fitted) {
    reserve(plan_.device_tier, Purpose::predictor, {layers, model_.predictor_bytes()});
  }
  reserve(plan_.device_tier, Purpose::device_kv, {layers, 2, row, of_all_slots(&SlotPlan::segment_tokens)});
  reserve(plan_.device_tier, Purpose::staging,
          {plan_.staging_buffers, 2, row, of_all_slots(&SlotPlan::staging_tokens)});
  const Bytes sparse_layers = std::max(0, model_.layers - plan_.whole_layers);
  reserve(plan_.device_tier, Purpose::metadata,
          {sparse_layers, bounds_bytes(model_, plan_.kv_dtype), of_all_slots(&SlotPlan::pages)});
  plan_partial_keys();
  plan_exchange();
  Tokens longest_prompt = 0;
  for (const RequestShape& slot : slots_) longest_prompt = std::max(longest_prompt, slot.prompt_tokens);
  const WorkingMemory working =
      working_memory(model_, plan_, longest_prompt, static_cast<std::int64_t>(slots_.size()));
  reserve(plan_.device_tier, Purpose::activations, {working.activations});
  reserve(plan_.device_tier, Purpose::workspace, {working.device_workspace});
  if (plan_.host_tokens == 0) return;
  reserve(plan_.exchange_tier, Purpose::workspace, {working.host_workspace});
  plan_host_rows();
  std::stable_sort(plan_.reservations.begin(), plan_.reservations.end(),
                   [](const Reservation& a, const Reservation& b) { return a.purpose < b.purpose; });
}

// For every slot of a layer's pool the device keeps partial K, and besides the columns that each request has
// chosen and the skew that they are chosen from.
void Policy::plan_partial_keys() {
  const Bytes pooled = plan_.pooled_layers(model_.layers);
  if (pooled == 0) return;
  const auto requests = static_cast<Bytes>(plan_.slots.size());
  reserve(
      plan_.device_tier, Purpose::metadata,
      {pooled, saturated_product({partial_row_bytes(model_, plan_), of_all_slots(&SlotPlan::pool_slots)}) +
                   saturated_product({skew_bytes(model_, plan_.partial.columns), requests})});
  reserve(plan_.device_tier, Purpose::predictor, {pooled, skew_bytes(model_, model_.head_dim)});
}

// After all else: what is left of a memory says of how many layers it takes K and V. Layers that have a pool
// hold its slots, the others every token.
void Policy::plan_host_rows() {
  const Bytes row = kv_row_bytes(model_, plan_.kv_dtype);
  const int layers = model_.layers, pooled = plan_.pooled_layers(layers);
  const Bytes tokens = of_all_slots(&SlotPlan::host_tokens), slots = of_all_slots(&SlotPlan::pool_slots);
  HostLayers& k = plan_.k_on_host;
  HostLayers& v = plan_.v_on_host;
  Bytes left = machine_.tier(k.tier).capacity - plan_.needed(k.tier);
  const auto take = [&](int layer, Bytes halves) {
    const Bytes bytes = saturated_product({halves, row, layer < layers - pooled ? tokens : slots});
    if (bytes > left) return false;
    left -= bytes;
    return true;
  };
  if (k.tier != v.tier) {
    while (k.before_overflow < layers && take(k.before_overflow, 1)) ++k.before_overflow;
    v.before_overflow = layers;
  } else if (plan_.whole_layers_on_host) {
    while (k.before_overflow < layers && take(k.before_overflow, 2)) ++k.before_overflow;
    v.before_overflow = k.before_overflow;
  } else {  // K of a layer, then its V
    while (v.before_overflow < layers && take(v.before_overflow, 1)) {
      ++(k.before_overflow == v.before_overflow ? k : v).before_overflow;
    }
  }
  const auto reserve_half = [&](const HostLayers& host, Purpose purpose) {
    for (const HostLayers::Share& share : host.shares(layers)) {
      const Bytes in_pools = share.of_the_last(pooled, layers);
      const Bytes rows =
          saturated_product({share.layers - in_pools, tokens}) + saturated_product({in_pools, slots});
      if (rows > 0) reserve(share.tier, purpose, {row, rows});
    }
  };
  reserve_half(k, Purpose::host_k);
  reserve_half(v, Purpose::host_v);
}

// A row that goes up has its V, or K and V, and its group's logits.
void Policy::plan_exchange() {
  if (plan_.exchange_rows_per_head > 0) {
    std::int64_t rows = 0;
    for (const SlotPlan& slot : plan_.slots)
      rows = std::min(kMoreThanAnything, rows + most_packed_rows(plan_, slot));
    const Bytes head_row = head_row_bytes(model_, plan_.kv_dtype);
    const Bytes row_and_scores =
        (plan_.lookahead.keys_up ? 2 : 1) * head_row + plan_.exchange_group * kLogitBytes;
    for (const TierId tier : {plan_.device_tier, plan_.exchange_tier}) {
      reserve(tier, Purpose::exchange,
              {plan_.exchange_buffers(), packed_heads(model_, plan_), rows, row_and_scores});
    }
  }
  if (plan_.exchange_partials) {
    for (const TierId tier : {plan_.device_tier, plan_.exchange_tier}) {
      reserve(tier, Purpose::exchange, {static_cast<Bytes>(plan_.slots.size()), partial_bytes(model_)});
    }
  }
}

// First come, first served: one that waits for a large slot is not overtaken.
const RequestView* Policy::next_admitted(const Observation& observation, SlotId& slot) const {
  const auto& requests = observation.requests;
  const auto first = std::find_if(requests.begin(), requests.end(),
                                  [](const RequestView& request) { return request.waiting(); });
  if (first == requests.end() || !admission_->admits(observation)) return nullptr;
  const auto free = free_slot_for(*first, slots_, requests);
  if (!free) return nullptr;
  slot = *free;
  return &*first;
}

Decision Policy::decide(const Observation& observation) {
  Decision decision;
  decision.step = observation.step;
  auto add = [&](const RequestView& request, Tokens query_tokens, SlotId slot) {
    RequestDecision row;
    row.request = request.id;
    row.slot = slot;
    row.first_position = request.cached_tokens;
    row.query_tokens = query_tokens;
    const auto note = attention_->place(request, observation, row);
    if (note) decision.notes.push_back(*note);
    decision.rows.push_back(row);
  };
  SlotId slot;
  if (const RequestView* admitted = next_admitted(observation, slot)) {
    add(*admitted, admitted->prompt_tokens, slot);
    return decision;
  }
  for (const RequestView& request : observation.requests) {
    if (request.in_flight()) add(request, 1, request.slot);
  }
  return decision;
}

Step Policy::build(const Decision& decision) const {
  Batch batch;
  for (const RequestDecision& row : decision.rows)
    batch.push_back({row.request, row.first_position, row.query_tokens, row.slot});
  StepBuilder builder(machine_, decision.step, std::move(batch));
  const ModelOps ops(model_, plan_);
  OpId last = builder.add(ops.embed(decision), {});
  const auto attention = attention_->open(decision, ops, builder);
  for (int layer = 0; layer < model_.layers; ++layer) {
    KvTarget target = attention->kv_target(layer);
    target.wait_for.push_back(last);
    const OpId qkv = builder.add(ops.norm_qkv(decision, layer, target), target.wait_for);
    last = builder.add(ops.project_out(decision, layer), attention->attend(layer, qkv));
    last = builder.add(ops.ffn(decision, layer), {last});
  }
  last = builder.add(ops.lm_head(decision), {last});
  for (const RequestDecision& row : decision.rows) {
    if (workload_.stop_at_end_of_sequence) {
      builder.declare(OutcomeKind::end_of_sequence, row.request, -1, 0, 1);
    }
    builder.add(ops.sample(row), {last});
  }
  return builder.take();
}

}  // namespace hybridgen
