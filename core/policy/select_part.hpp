// The part that chooses among tokens: the host's that are attended to, or the device's that stay.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/units.hpp"
#include "core/policy/select_by.hpp"
#include "core/step/op.hpp"

namespace hybridgen {

// Which host rows enter the softmax, or which rows the device keeps.
class SelectPart {
 public:
  explicit SelectPart(SelectBy by = SelectBy::query_head) : by_(by) {}
  virtual ~SelectPart() = default;
  virtual SelectRule rule() const = 0;
  // Rows per query head among host_tokens, or per KV head where its query heads choose together: exact for
  // `all` and `top-k`, the bound for `threshold`. At least 1, but 0 of a part with a keep_rule. A ratio
  // replaces the part's own, where it has one.
  virtual std::int64_t rows_per_head(Tokens host_tokens, std::optional<Ppm> ratio = {}) const = 0;
  virtual std::int64_t alpha_milli() const { return 0; }
  // How the tokens are chosen that stay on the device, of a part that says so (attention: budget); none: the
  // part chooses among the host's.
  virtual std::optional<KeepRule> keep_rule() const { return std::nullopt; }
  SelectBy by() const { return by_; }

 private:
  SelectBy by_;
};

}  // namespace hybridgen
