// What select parts share that say which rows the device keeps: they choose nothing on the host.
#pragma once

#include <string>

#include "core/base/error.hpp"
#include "core/policy/part_context.hpp"
#include "core/policy/select_part.hpp"

namespace hybridgen {

class KeptSelect final : public SelectPart {
 public:
  KeptSelect(SelectRule rule, const KeepRule& keep) : rule_(rule), keep_(keep) {}
  SelectRule rule() const override { return rule_; }
  std::int64_t rows_per_head(Tokens, std::optional<Ppm>) const override { return 0; }
  std::optional<KeepRule> keep_rule() const override { return keep_; }

 private:
  SelectRule rule_;
  KeepRule keep_;
};

// Throws BadInput where the parameter's tokens leave none of the budget. Without a budget, the attention part
// says what is wrong.
inline void check_below_budget(const PartContext& context, const std::string& part, const std::string& name,
                               Tokens tokens) {
  if (!context.params.has("budget_tokens") || tokens < context.params.get("budget_tokens")) return;
  throw BadInput(part + ": " + name + " " + std::to_string(tokens) + " leave nothing of budget_tokens " +
                 std::to_string(context.params.get("budget_tokens")) + "; write a larger budget or fewer " +
                 name);
}

}  // namespace hybridgen
