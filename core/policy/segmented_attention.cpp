#include "core/policy/segmented_attention.hpp"

#include <algorithm>

namespace hybridgen {
namespace {

constexpr int kPrefillBuffers = 2;

std::size_t slot(int layer) {
  return static_cast<std::size_t>(layer % kPrefillBuffers);
}

}  // namespace

SegmentedStep::SegmentedStep(const Decision& decision, const ModelOps& ops, StepBuilder& builder,
                             Tokens sinks)
    : decision_(decision),
      ops_(ops),
      builder_(builder),
      sinks_(sinks),
      prefill_(decision.rows.front().prefill()),
      on_host_(std::any_of(decision.rows.begin(), decision.rows.end(),
                           [](const RequestDecision& row) { return row.host_tokens > 0; })),
      offloads_(kPrefillBuffers) {
  evict(0);
}

KvTarget SegmentedStep::kv_target(int layer) {
  if (prefill_) return {KvPlace::staging, layer % kPrefillBuffers, offloads_[slot(layer)]};
  return {KvPlace::segment, 0, evicted_};
}

std::vector<OpId> SegmentedStep::attend(int layer, OpId norm_qkv) {
  return prefill_ ? prefill(layer, norm_qkv) : decode(layer, norm_qkv);
}

// The oldest rows of a layer's segment go down: their slots are the new tokens'.
void SegmentedStep::evict(int layer) {
  evicted_.clear();
  if (prefill_ || layer == ops_.model().layers) return;
  for (const RequestDecision& row : decision_.rows) {
    if (row.evict_tokens == 0) continue;
    const Tokens first = sinks_ + row.host_tokens - row.evict_tokens;
    evicted_.push_back(
        builder_.add(ops_.offload_kv(row, layer, KvPlace::segment, 0, first, row.evict_tokens), {}));
  }
}

// Full attention over the prompt; then its newest rows stay (and the first, where asked for) and the others
// go down.
std::vector<OpId> SegmentedStep::prefill(int layer, OpId norm_qkv) {
  const int buffer = layer % kPrefillBuffers;
  std::vector<OpId> kept;
  offloads_[slot(layer)].clear();
  for (const RequestDecision& row : decision_.rows) {
    const OpId attended =
        builder_.add(ops_.attend(row, layer, KvPlace::staging, buffer, row.query_tokens), {norm_qkv});
    const Tokens sinks = row.host_tokens > 0 ? sinks_ : 0;
    if (row.host_tokens > 0) {
      offloads_[slot(layer)].push_back(builder_.add(
          ops_.offload_kv(row, layer, KvPlace::staging, buffer, sinks, row.host_tokens), {norm_qkv}));
    }
    if (sinks > 0) kept.push_back(builder_.add(ops_.keep_kv(row, layer, buffer, 0, sinks), {attended}));
    kept.push_back(builder_.add(
        ops_.keep_kv(row, layer, buffer, sinks + row.host_tokens, row.device_tokens - sinks), {attended}));
  }
  return kept;
}

std::vector<OpId> SegmentedStep::send_queries(int layer, OpId source) {
  std::vector<OpId> queries;
  for (const RequestDecision& row : decision_.rows) {
    const bool sent = row.host_tokens > 0;
    queries.push_back(sent ? builder_.add(ops_.send_query(row, layer, ahead(layer)), {source}) : OpId());
  }
  return queries;
}

// Of all rows.
std::vector<std::vector<OpId>> SegmentedStep::host_sides(int layer, const std::vector<OpId>& queries,
                                                         const std::vector<OpId>& evicted) {
  std::vector<std::vector<OpId>> sides(decision_.rows.size());
  for (std::size_t i = 0; i < sides.size(); ++i) {
    if (decision_.rows[i].host_tokens == 0) continue;
    std::vector<OpId> ready = evicted;
    ready.push_back(queries[i]);
    sides[i] = host_side(i, layer, ready);
  }
  return sides;
}

// A lane takes its ops in the order of their ids, so what the host is to do meanwhile comes before the
// device's share: in a layer that waits for its true query, its queries, the next layer's evictions and its
// host ops; then, where the next layer's queries are predicted, that layer's host ops. The device does its
// own share of all rows before it waits for the first host's.
std::vector<OpId> SegmentedStep::decode(int layer, OpId norm_qkv) {
  const std::vector<RequestDecision>& rows = decision_.rows;
  const std::vector<OpId> evicted = evicted_;
  std::vector<std::vector<OpId>> host = std::move(host_is_ahead_);
  std::vector<OpId> queries;
  const bool waits = !ahead(layer) || !on_host_;
  if (waits) queries = send_queries(layer, norm_qkv);
  evict(layer + 1);
  if (waits) host = host_sides(layer, queries, evicted);
  if (ahead(layer + 1) && on_host_) {
    const OpId predicted = builder_.add(ops_.predict_query(decision_, layer + 1), {norm_qkv});
    host_is_ahead_ = host_sides(layer + 1, send_queries(layer + 1, predicted), evicted_);
  }
  std::vector<OpId> device(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].host_tokens > 0) device[i] = builder_.add(device_side(rows[i], layer), {norm_qkv});
  }
  std::vector<OpId> attended;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const RequestDecision& row = rows[i];
    attended.push_back(
        row.host_tokens > 0
            ? join(i, layer, device[i], host[i])
            : builder_.add(ops_.attend(row, layer, KvPlace::segment, 0, row.device_tokens), {norm_qkv}));
  }
  return attended;
}

void SegmentedAttention::plan_memory(const RequestShape& largest, MemoryPlan& plan) const {
  needs_.placement->fill_in(plan);
  plan.segment_tokens = std::min(needs_.split->most_device_tokens() + sinks_, largest.most_context());
  // Where a request has host tokens, this is sinks_: they, a host token and the newest one are its context.
  plan.sink_tokens = std::min(sinks_, plan.segment_tokens - 1);
  plan.host_tokens =
      largest.most_context() - std::min(needs_.split->least_device_tokens() + sinks_, plan.segment_tokens);
  plan.staging_tokens = largest.prompt_tokens;
  plan.staging_buffers = kPrefillBuffers;
}

Split SegmentedAttention::divide(const RequestView& request, const Observation& observation,
                                 RequestDecision& row) {
  const Tokens context = row.first_position + row.query_tokens;
  RequestView newest = request;  // a split part knows of no sinks
  if (request.host_tokens > 0) newest.device_tokens -= sinks_;
  Split split = needs_.split->split(newest, observation);
  // Rows never come back up: a segment that may grow does so by the new tokens alone.
  const Tokens most = row.prefill() ? context : newest.device_tokens + row.query_tokens;
  const Tokens kept = std::min({split.device_tokens, most, context});
  const Tokens sinks = std::min(sinks_, context - kept);
  row.device_tokens = kept + sinks;
  row.host_tokens = context - row.device_tokens;
  row.evict_tokens = row.prefill() ? 0 : row.host_tokens - request.host_tokens;
  return split;
}

}  // namespace hybridgen
