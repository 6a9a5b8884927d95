#include "core/policy/working_memory.hpp"

#include <algorithm>

#include "core/base/saturated.hpp"

namespace hybridgen {
namespace {

constexpr Bytes kFloat = 4;

}  // namespace

WorkingMemory working_memory(const ModelShape& model, const MemoryPlan& plan, Tokens query_tokens,
                             std::int64_t requests) {
  const std::int64_t per_token =
      3LL * model.hidden + model.qkv_width() + model.q_width() + model.ffn_in_width() + model.head_dim;
  WorkingMemory memory;
  memory.activations = saturated_product({kFloat, per_token, std::max<Tokens>(query_tokens, requests)}) +
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
  if (plan.lookahead.corrects) {  // the logits of the predicted query beside those of the true one
    memory.device_workspace += saturated_product({kFloat, model.query_heads, plan.segment_tokens, requests});
  }
  // Without an exchange the host computes nothing: its K and V are only copied.
  if (plan.exchange_rows_per_head > 0 || plan.exchange_partials) {
    memory.host_workspace =
        saturated_product({kFloat, model.query_heads, plan.host_tokens, requests}) +
        saturated_product({kFloat, model.query_heads, plan.exchange_rows_per_head, requests, buffers}) +
        saturated_product({kFloat, model.q_width(), requests, buffers});
  }
  return memory;
}

}  // namespace hybridgen
