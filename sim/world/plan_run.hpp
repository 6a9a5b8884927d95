// Plans without a machine, a step or a policy: what tests and benches throw at an engine.
#pragma once

#include <vector>

#include "sim/world/engine.hpp"

namespace hybridgen {

struct PlannedOp {
  std::vector<OpId> dependencies;  // earlier ops
  OpPlan plan;
};

// Start and end by op id, from time 0.
std::vector<OpSpan> run_plans(Engine& engine, const std::vector<PlannedOp>& ops);

}  // namespace hybridgen
