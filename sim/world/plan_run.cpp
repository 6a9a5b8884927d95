#include "sim/world/plan_run.hpp"

namespace hybridgen {

std::vector<OpSpan> run_plans(Engine& engine, const std::vector<PlannedOp>& ops) {
  std::vector<std::vector<OpId>> dependencies;
  dependencies.reserve(ops.size());
  for (const PlannedOp& op : ops) dependencies.push_back(op.dependencies);
  return engine.run(OpGraph(dependencies), [&](OpId id) { return ops[id.index()].plan; });
}

}  // namespace hybridgen
