#include "core/policy/policy.hpp"

#include <initializer_list>
#include <utility>

#include "core/base/check.hpp"
#include "core/base/error.hpp"

namespace hybridgen {
namespace {

// What does not fit in 2^56 bytes fits nowhere: so much is said instead, and sums of it do not overflow.
constexpr Bytes kMoreThanAnything = 1LL << 56;

Bytes saturated_product(std::initializer_list<Bytes> factors) {
  Bytes product = 1;
  for (const Bytes factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product) || product > kMoreThanAnything)
      return kMoreThanAnything;
    if (product == 0) return 0;
  }
  return product;
}

template <class Make>
const Make* maker(const char* slot, const std::string& name) {
  if (name.empty()) return nullptr;
  const PartEntry* part = find_part(slot, name);
  HG_CHECK(part != nullptr, slot << " " << name << " is not in the registry");
  return &std::get<Make>(part->make);
}

}  // namespace

Policy::Policy(const Composition& composition, const PartContext& context, const WorkloadShape& workload)
    : machine_(context.machine), model_(context.model), composition_(composition), workload_(workload) {
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
  const auto* make = maker<MakeAttention>("attention", composition.attention);
  HG_CHECK(make != nullptr, "a policy needs an attention part");
  attention_ = (*make)(context, std::move(needs));
  attention_->plan_memory(workload, plan_);
  plan_reservations();
}

void Policy::plan_reservations() {
  const Bytes row = model_.kv_row_bytes(bytes_of(plan_.kv_dtype));
  const Bytes layers = model_.layers;
  const Bytes requests = workload_.requests;
  const auto reserve = [this](TierId tier, Purpose purpose, std::initializer_list<Bytes> factors) {
    const Bytes bytes = saturated_product(factors);
    if (bytes > 0) plan_.reservations.push_back({tier, purpose, bytes});
  };
  reserve(plan_.device_tier, Purpose::weights, {model_.weight_bytes()});
  reserve(plan_.device_tier, Purpose::device_kv, {requests, layers, 2, row, plan_.segment_tokens});
  reserve(plan_.device_tier, Purpose::staging,
          {requests, plan_.staging_buffers, 2, row, plan_.staging_tokens});
  if (plan_.host_tokens > 0) {
    reserve(plan_.host_k_tier, Purpose::host_k, {requests, layers, row, plan_.host_tokens});
    reserve(plan_.host_v_tier, Purpose::host_v, {requests, layers, row, plan_.host_tokens});
  }
  if (plan_.exchange_rows_per_head > 0) {
    const Bytes row_and_score = model_.head_dim * bytes_of(plan_.kv_dtype) + kLogitBytes;
    for (const TierId tier : {plan_.device_tier, plan_.host_k_tier}) {
      reserve(tier, Purpose::exchange,
              {requests, model_.query_heads, plan_.exchange_rows_per_head, row_and_score});
    }
  }
}

Decision Policy::decide(const Observation& observation) {
  Decision decision;
  decision.step = observation.step;
  auto add = [&](const RequestView& request, Tokens query_tokens) {
    RequestDecision row;
    row.request = request.id;
    row.first_position = request.cached_tokens;
    row.query_tokens = query_tokens;
    attention_->place(request, observation.estimator, row);
    decision.rows.push_back(row);
  };
  for (const RequestView& request : observation.requests) {
    if (request.cached_tokens == 0 && !request.finished) {
      add(request, request.prompt_tokens);
      return decision;
    }
  }
  for (const RequestView& request : observation.requests) {
    if (!request.finished) add(request, 1);
  }
  return decision;
}

Step Policy::build(const Decision& decision) const {
  Batch batch;
  for (const RequestDecision& row : decision.rows)
    batch.push_back({row.request, row.first_position, row.query_tokens});
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
    builder.add(ops.sample(row.request), {last});
  }
  return builder.take();
}

}  // namespace hybridgen
