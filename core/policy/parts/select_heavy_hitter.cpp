// select: heavy-hitter (H2O). Half of the budget are the newest tokens, the other half those with the most
// attention mass since they exist. Each step drops the least mass among the older ones, per KV head.
#include "core/policy/kept_select.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {

PartEntry select_heavy_hitter() {
  return {"heavy-hitter",
          "the newest tokens, and those most attended to so far, half of the budget each (H2O)",
          {},
          MakeSelect([](const PartContext& context) -> std::unique_ptr<SelectPart> {
            KeepRule rule;
            // Without a budget the attention part says what is wrong.
            if (context.params.has("budget_tokens")) rule.recent = context.params.get("budget_tokens") / 2;
            return std::make_unique<KeptSelect>(SelectRule::heavy_hitter, rule);
          })};
}

}  // namespace hybridgen
