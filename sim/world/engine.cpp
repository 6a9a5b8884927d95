#include "sim/world/engine.hpp"

#include <algorithm>
#include <cmath>

namespace hybridgen {

void check_plan(OpId op, const OpPlan& plan) {
  HG_CHECK(plan.delay_ns >= 0 && std::isfinite(plan.delay_ns),
           "op " << op.value << " delay " << plan.delay_ns);
  HG_CHECK(plan.fixed_ns >= 0 && std::isfinite(plan.fixed_ns),
           "op " << op.value << " fixed " << plan.fixed_ns);
  for (const Flow& flow : plan.flows) {
    HG_CHECK(flow.amount > 0 && std::isfinite(flow.amount), "op " << op.value << " amount " << flow.amount);
    HG_CHECK(flow.cap_per_s > 0 || (flow.cap_per_s == 0 && !flow.channels.empty()),
             "op " << op.value << " has a flow that nothing limits");
    HG_CHECK(flow.channels.empty() || flow.amount == std::floor(flow.amount),
             "op " << op.value << " sends a part of a byte: " << flow.amount);
  }
}

double quiet_ns(const OpPlan& plan) {
  double longest = 0;
  for (const Flow& flow : plan.flows) {
    if (flow.channels.empty()) longest = std::max(longest, flow.amount / flow.cap_per_s * 1e9);
  }
  return longest;
}

}  // namespace hybridgen
