// The parameter that every select part has.
#pragma once

#include "core/policy/params.hpp"
#include "core/policy/part_context.hpp"
#include "core/policy/select_by.hpp"

namespace hybridgen {

// Whose choice decides what goes up.
ParamSpec select_by_param();
// The same, of a part that can also make one choice for all query heads of a KV head.
ParamSpec select_by_or_best_param();
// In a model without groups, query_head: there the three are one.
SelectBy select_by(const PartContext& context);

}  // namespace hybridgen
