#include "core/policy/segmented_attention.hpp"

#include <algorithm>

namespace hybridgen {
namespace {

constexpr int kPrefillBuffers = 2;

std::size_t slot(int layer) {
  return static_cast<std::size_t>(layer % kPrefillBuffers);
}

}  // namespace

SegmentedStep::SegmentedStep(const Decision& decision, const ModelOps& ops, StepBuilder& builder)
    : decision_(decision),
      ops_(ops),
      builder_(builder),
      prefill_(decision.rows.front().prefill()),
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
    const Tokens first = row.host_tokens - row.evict_tokens;
    evicted_.push_back(
        builder_.add(ops_.offload_kv(row, layer, KvPlace::segment, 0, first, row.evict_tokens), {}));
  }
}

// Full attention over the prompt; then its newest rows stay and the older ones go down.
std::vector<OpId> SegmentedStep::prefill(int layer, OpId norm_qkv) {
  const int buffer = layer % kPrefillBuffers;
  std::vector<OpId> kept;
  offloads_[slot(layer)].clear();
  for (const RequestDecision& row : decision_.rows) {
    const OpId attended =
        builder_.add(ops_.attend(row, layer, KvPlace::staging, buffer, row.query_tokens), {norm_qkv});
    if (row.host_tokens > 0) {
      offloads_[slot(layer)].push_back(builder_.add(
          ops_.offload_kv(row, layer, KvPlace::staging, buffer, 0, row.host_tokens), {norm_qkv}));
    }
    kept.push_back(
        builder_.add(ops_.keep_kv(row, layer, buffer, row.host_tokens, row.device_tokens), {attended}));
  }
  return kept;
}

// The queries of all rows go down first, then the next layer's evictions, then the host attends; the device
// does its own share of all rows before it waits for the first host's.
std::vector<OpId> SegmentedStep::decode(int layer, OpId norm_qkv) {
  const std::vector<OpId> evicted = evicted_;
  const std::vector<RequestDecision>& rows = decision_.rows;
  std::vector<OpId> queries;
  for (const RequestDecision& row : rows) {
    queries.push_back(row.host_tokens > 0 ? builder_.add(ops_.send_query(row, layer), {norm_qkv}) : OpId());
  }
  evict(layer + 1);
  std::vector<std::vector<OpId>> joined(rows.size());  // by row: what its join waits for
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].host_tokens == 0) continue;
    std::vector<OpId> ready = evicted;
    ready.push_back(queries[i]);
    const std::vector<OpId> host = host_side(i, layer, ready);
    joined[i].push_back(builder_.add(device_side(rows[i], layer), {norm_qkv}));
    joined[i].insert(joined[i].end(), host.begin(), host.end());
  }
  std::vector<OpId> attended;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const RequestDecision& row = rows[i];
    attended.push_back(
        row.host_tokens > 0
            ? builder_.add(join(i, layer), joined[i])
            : builder_.add(ops_.attend(row, layer, KvPlace::segment, 0, row.device_tokens), {norm_qkv}));
  }
  return attended;
}

void SegmentedAttention::plan_memory(const RequestShape& largest, MemoryPlan& plan) const {
  needs_.placement->fill_in(plan);
  plan.segment_tokens = std::min(needs_.split->most_device_tokens(), largest.most_context());
  plan.host_tokens =
      largest.most_context() - std::min(needs_.split->least_device_tokens(), plan.segment_tokens);
  plan.staging_tokens = largest.prompt_tokens;
  plan.staging_buffers = kPrefillBuffers;
}

Split SegmentedAttention::divide(const RequestView& request, const Observation& observation,
                                 RequestDecision& row) {
  const Tokens context = row.first_position + row.query_tokens;
  Split split = needs_.split->split(request, observation);
  // Rows never come back up: a segment that may grow does so by the new tokens alone.
  const Tokens most = row.prefill() ? context : request.device_tokens + row.query_tokens;
  row.device_tokens = std::min({split.device_tokens, most, context});
  row.host_tokens = context - row.device_tokens;
  row.evict_tokens = row.prefill() ? 0 : row.host_tokens - request.host_tokens;
  return split;
}

}  // namespace hybridgen
