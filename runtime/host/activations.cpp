#include "runtime/host/activations.hpp"

#include <algorithm>

#include "core/machine/tiles.hpp"
#include "runtime/host/head_shares.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/attend_kept.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/prefill.hpp"
#include "runtime/kernels/prompt_mass.hpp"

namespace hybridgen {

Activations::Activations(const ModelShape& model, const MemoryPlan& plan, Tokens most_tokens, int most_rows,
                         int threads) {
  qkv_width = model.qkv_width();
  auto size = [](std::int64_t a, std::int64_t b) { return static_cast<std::size_t>(a * b); };
  hidden.resize(size(most_tokens, model.hidden));
  const Tokens most_at_once = std::max<Tokens>(std::min(kTileTokens, most_tokens), most_rows);
  normed.resize(size(most_at_once, model.hidden));
  qkv.resize(size(most_tokens, qkv_width));
  if (plan.lookahead.predicts) {  // queries of decode steps alone: one token of every request
    for (auto& each : predicted) each.resize(size(most_rows, model.q_width()));
  }
  if (plan.lookahead.fitted) {
    low_rank.resize(size(most_rows, model.predictor.rank));
    missing.resize(size(most_rows, model.q_width()));
  }
  turned.resize(size(model.q_width() + model.head_dim, 1));
  attended.resize(size(most_tokens, model.q_width()));
  ffn_in.resize(size(most_at_once, model.ffn_in_width()));
  product.resize(size(most_at_once, model.hidden));
  cosine.resize(size(most_tokens, model.head_dim / 2));
  sine.resize(size(most_tokens, model.head_dim / 2));
  logits.resize(size(most_rows, model.vocab));
  const std::int64_t widest = std::max<std::int64_t>({model.hidden, model.ffn, model.q_width()});
  const std::int64_t most_kv = std::max(plan.segment_tokens, plan.staging_tokens);
  const std::int64_t floats =
      std::max({kernels::gemm_scratch(widest), kernels::prefill_scratch(model.group(), model.head_dim),
                kernels::attend_scratch(model.group(), most_kv),
                kernels::prompt_mass_scratch(model.group(), model.head_dim),
                kernels::attend_kept_scratch(model.group(), most_kv)});
  scratch.assign(static_cast<std::size_t>(threads), std::vector<float>(static_cast<std::size_t>(floats)));
  lse.resize(size(model.query_heads, 1));
  host_rows.resize(size(model.query_heads, 1));
  no_rows.resize(size(model.group(), 1));
  partials.assign(static_cast<std::size_t>(threads),
                  std::vector<float>(size(HeadShares::kMostParts * model.group(), model.head_dim + 1)));
}

}  // namespace hybridgen
