// select: observation-window (SnapKV). The prompt is compacted once: the tokens that its last queries look
// at, pooled over their neighbours, and the tokens of those queries. Generated tokens come on top, as
// published, or the budget bounds them too.
#include "core/base/error.hpp"
#include "core/policy/kept_select.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

KeepRule observation_rule(const PartContext& context) {
  KeepRule rule;
  rule.window = context.params.get("observation_tokens");
  rule.kernel = context.params.get("pooling_kernel");
  rule.pooling = static_cast<Pooling>(context.params.get("pooling"));
  rule.generated = static_cast<Generated>(context.params.get("generated"));
  check_below_budget(context, "select observation-window", "observation_tokens", rule.window);
  if (rule.kernel % 2 == 0) {
    throw BadInput("select observation-window: pooling_kernel " + std::to_string(rule.kernel) +
                   " has no middle; write an odd number");
  }
  return rule;
}

}  // namespace

PartEntry select_observation_window() {
  return {
      "observation-window",
      "the prompt's tokens that its last queries look at, and those (SnapKV)",
      {{"observation_tokens", "last queries of the prompt that choose; fewer than the budget",
        ParamKind::tokens, 1, 1'000'000, 32},
       {"pooling_kernel", "tokens over which mass is pooled, an odd number", ParamKind::tokens, 1, 9'999, 7},
       {"pooling",
        "the largest mass among the neighbours, or their mean",
        ParamKind::choice,
        0,
        1,
        0,
        {"max", "mean"}},
       {"generated",
        "generated tokens stay on top of the budget, as published; or it bounds all, and chosen rows of the "
        "prompt go first; or it does, and those stay while the newest slide",
        ParamKind::choice,
        0,
        2,
        0,
        {"keep", "bound", "slide"}}},
      MakeSelect([](const PartContext& context) -> std::unique_ptr<SelectPart> {
        return std::make_unique<KeptSelect>(SelectRule::observation_window, observation_rule(context));
      })};
}

}  // namespace hybridgen
