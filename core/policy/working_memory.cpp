#include "core/policy/working_memory.hpp"

#include "core/machine/tiles.hpp"

#include <algorithm>

#include "core/base/saturated.hpp"
#include "core/residency/exchange.hpp"

namespace hybridgen {
namespace {

constexpr Bytes kFloat = 4;
constexpr Bytes kPooledRowBytes = 12;

// A position and a mass of every slot of a segment and KV head, and the mass of one layer's prompt.
Bytes kept_rows_bytes(const ModelShape& model, const MemoryPlan& plan, std::int64_t requests) {
  return saturated_product({kKeptRowBytes, model.layers, model.kv_heads, plan.segment_tokens, requests}) +
         saturated_product({kFloat, model.kv_heads, plan.staging_tokens, requests});
}

// Scores of every slot of one layer's pool, and what is known of each slot, KV head and layer: its position,
// how often it was read, and when last.
Bytes partial_keys_bytes(const ModelShape& model, const MemoryPlan& plan, std::int64_t requests) {
  return saturated_product({kFloat, model.query_heads, plan.pool_slots, requests}) +
         saturated_product(
             {kPooledRowBytes, plan.pooled_layers(model.layers), model.kv_heads, plan.pool_slots, requests});
}

}  // namespace

WorkingMemory working_memory(const ModelShape& model, const MemoryPlan& plan, Tokens query_tokens,
                             std::int64_t requests) {
  const Tokens tokens = std::max<Tokens>(query_tokens, requests);
  const std::int64_t per_token = model.hidden + model.qkv_width() + model.q_width() + model.head_dim;
  const std::int64_t per_tile_token = 2LL * model.hidden + model.ffn_in_width();
  WorkingMemory memory;
  memory.activations = saturated_product({kFloat, per_token, tokens}) +
                       saturated_product({kFloat, per_tile_token, std::min(kTileTokens, tokens)}) +
                       saturated_product({kFloat, model.vocab, requests});
  const std::int64_t buffers = plan.exchange_buffers();
  if (plan.lookahead.predicts) {
    memory.activations += saturated_product({kFloat, buffers, model.q_width(), requests});
  }
  if (plan.lookahead.fitted) {
    memory.activations += saturated_product({kFloat, model.q_width() + model.predictor.rank, requests});
  }
  const Tokens device_tokens = std::max(plan.segment_tokens, plan.staging_tokens);
  memory.device_workspace = saturated_product({kFloat, model.query_heads, device_tokens, requests});
  // Per query head and page its bound, its place in the order and what the search for it works in.
  memory.device_workspace += saturated_product({4 * kFloat, model.query_heads, plan.pages, requests});
  if (plan.kept_rows) memory.device_workspace += kept_rows_bytes(model, plan, requests);
  if (plan.lookahead.corrects) {  // the logits of the predicted query beside those of the true one
    memory.device_workspace += saturated_product({kFloat, model.query_heads, plan.segment_tokens, requests});
  }
  if (plan.partial.columns > 0) memory.device_workspace += partial_keys_bytes(model, plan, requests);
  // Without an exchange the host computes nothing: its K and V are only copied.
  if (plan.exchange_rows_per_head > 0 || plan.exchange_partials) {
    memory.host_workspace =
        saturated_product({kFloat, model.query_heads, plan.host_tokens, requests}) +
        saturated_product({kFloat, model.query_heads, plan.exchange_rows_per_head, requests, buffers}) +
        saturated_product({kFloat, model.q_width(), requests, buffers});
    if (chooses_once_per_group(plan)) {
      memory.host_workspace += saturated_product({kFloat, model.kv_heads, plan.host_tokens, requests});
    }
  }
  return memory;
}

}  // namespace hybridgen
