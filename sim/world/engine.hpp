// What advances simulated time: given which op waits for which and what each takes, it says when each starts
// and ends. The fluid and the SimGrid executor differ in their engine only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/world/duration_model.hpp"
#include "sim/world/op_graph.hpp"

namespace hybridgen {

// Nanoseconds since the start of the engine's run. Doubles, so that rounding never adds up.
struct OpSpan {
  double start_ns = 0;
  double end_ns = 0;
};

class Engine {
 public:
  // Asked once for each op, at the instant when all its dependencies have ended.
  using PlanOp = std::function<OpPlan(OpId)>;

  virtual ~Engine() = default;
  virtual std::string name() const = 0;
  // Runs all ops from time 0 of its own. The channels are idle when it begins and when it returns; what plan
  // throws comes out, and the engine may be used again.
  virtual std::vector<OpSpan> run(const OpGraph& graph, const PlanOp& plan) = 0;
};

// Our own bugs: a negative amount or time, or a flow that nothing limits.
void check_plan(OpId op, const OpPlan& plan);

// How long the flows without channels take side by side.
double quiet_ns(const OpPlan& plan);

}  // namespace hybridgen
