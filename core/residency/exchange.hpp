// How much goes up at most in one exchange: the rows that the host selected for one request in one layer.
// Rows are packed per query head, or per KV head for all query heads of its group (exchange_group of the
// plan): then a packed head's rows are the union of its heads' choices (exchange_choices), or their one
// choice, and each has the logits of all of them.
#pragma once

#include <algorithm>

#include "core/base/saturated.hpp"
#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"

namespace hybridgen {

// Heads whose V rows are packed.
inline std::int64_t packed_heads(const ModelShape& model, const MemoryPlan& plan) {
  return model.query_heads / plan.exchange_group;
}

// Rows of one packed head when rows_per_head of `tokens` are chosen at a time: exact for one choice, the
// bound of a union.
inline std::int64_t packed_rows(const MemoryPlan& plan, std::int64_t rows_per_head, Tokens tokens) {
  if (plan.exchange_choices == 1) return rows_per_head;
  return std::min(saturated_product({plan.exchange_choices, rows_per_head}), tokens);
}

// Whether the query heads of a group make one choice together.
inline bool chooses_once_per_group(const MemoryPlan& plan) {
  return plan.exchange_group > plan.exchange_choices;
}

// Of a slot's exchanges.
inline std::int64_t most_packed_rows(const MemoryPlan& plan, const SlotPlan& slot) {
  return packed_rows(plan, slot.exchange_rows_per_head, slot.host_tokens);
}

}  // namespace hybridgen
