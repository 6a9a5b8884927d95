// The parameter that every select part has.
#pragma once

#include "core/policy/params.hpp"
#include "core/policy/part_context.hpp"

namespace hybridgen {

// Whose choice decides what goes up: each query head's own rows for itself, or, for all query heads that
// share a KV head, the union of their rows, once.
ParamSpec select_by_param();
bool selects_by_group(const PartContext& context);

}  // namespace hybridgen
