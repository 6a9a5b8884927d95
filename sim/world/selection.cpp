#include "sim/world/selection.hpp"

#include "core/base/error.hpp"

namespace hybridgen {

Selection selection_of(const Step& step, const Outcome& outcome, const ModelShape& model) {
  const Work& work = step.ops[outcome.producer.index()].work;
  const bool known = work.rule == SelectRule::top_k || work.rule == SelectRule::threshold;
  // A threshold takes the largest logit at least; a union holds one head's choice at least.
  const std::int64_t least_per_head = work.rule == SelectRule::threshold ? 1 : work.rows_per_head;
  const std::int64_t heads = known && least_per_head > 0 ? outcome.least / least_per_head : 0;
  if (work.tokens < 1 || (heads != model.query_heads && heads != model.kv_heads)) {
    throw BadInput("locality outcomes: layer " + std::to_string(outcome.layer) +
                   " has a selection that no run was fitted on (known: top-k by kv-group, threshold); take "
                   "outcomes: {source: seeded}");
  }
  return {
      work.rule,          work.alpha_milli, outcome.layer, heads, static_cast<int>(model.query_heads / heads),
      work.rows_per_head, work.tokens};
}

}  // namespace hybridgen
