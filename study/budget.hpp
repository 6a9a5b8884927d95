// One budget for policies that spend it differently: rows of K and V per query head that a decode step may
// read, once the context is as long as the text.
#pragma once

#include <optional>

#include "core/policy/registry.hpp"

namespace hybridgen {

// The parameters with the budget in the policy's own terms:
//   budget_tokens     the budget
//   topk_ratio or max_rows_ratio beside device_kv_tokens (HybridGen): half of the budget on the device, the
//                     other half selected of the last context's host tokens; shorter contexts read less
// Nothing where the policy has no such parameter, and reads what it reads.
// context: tokens of the last step.
std::optional<Params> with_budget(const Composition& composition, const Params& params, Tokens budget,
                                  Tokens context);

}  // namespace hybridgen
