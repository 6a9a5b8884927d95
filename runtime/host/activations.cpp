#include "runtime/host/activations.hpp"

#include <algorithm>

#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/prefill.hpp"

namespace hybridgen {

Activations::Activations(const ModelShape& model, const MemoryPlan& plan, Tokens most_tokens, int most_rows,
                         int threads) {
  qkv_width = model.qkv_width();
  auto size = [](std::int64_t a, std::int64_t b) { return static_cast<std::size_t>(a * b); };
  hidden.resize(size(most_tokens, model.hidden));
  normed.resize(size(most_tokens, model.hidden));
  qkv.resize(size(most_tokens, qkv_width));
  if (plan.partial.columns > 0) predicted.resize(size(most_rows, model.q_width()));
  attended.resize(size(most_tokens, model.q_width()));
  ffn_in.resize(size(most_tokens, model.ffn_in_width()));
  product.resize(size(most_tokens, model.hidden));
  cosine.resize(size(most_tokens, model.head_dim / 2));
  sine.resize(size(most_tokens, model.head_dim / 2));
  logits.resize(size(most_rows, model.vocab));
  const std::int64_t widest = std::max<std::int64_t>({model.hidden, model.ffn, model.q_width()});
  const std::int64_t most_kv = std::max(plan.segment_tokens, plan.staging_tokens);
  const std::int64_t floats =
      std::max({kernels::gemm_scratch(widest), kernels::prefill_scratch(model.group(), model.head_dim),
                kernels::attend_scratch(model.group(), most_kv)});
  scratch.assign(static_cast<std::size_t>(threads), std::vector<float>(static_cast<std::size_t>(floats)));
}

}  // namespace hybridgen
