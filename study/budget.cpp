#include "study/budget.hpp"

#include <algorithm>

namespace hybridgen {

std::optional<Params> with_budget(const Composition& composition, const Params& params, Tokens budget,
                                  Tokens context) {
  const std::vector<ParamSpec> specs = params_of(composition);
  const auto has = [&](const std::string& name) {
    return std::any_of(specs.begin(), specs.end(), [&](const ParamSpec& spec) { return spec.name == name; });
  };
  Params given = params;
  if (has("budget_tokens")) {
    given.set("budget_tokens", budget);
    return given;
  }
  for (const char* ratio : {"topk_ratio", "max_rows_ratio"}) {
    if (!has(ratio) || !has("device_kv_tokens")) continue;
    const Tokens device = std::max<Tokens>(1, std::min(budget, context) / 2);
    const Tokens host = std::max<Tokens>(1, context - device);
    given.set("device_kv_tokens", device);
    given.set(ratio, std::min(kPpmOne, (budget - device) * kPpmOne / host));
    return given;
  }
  return std::nullopt;
}

}  // namespace hybridgen
