// Random batches of unequal requests on both engines: no token lost, no tier over its capacity, every request
// finished, and the same decisions and bytes on either.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <ostream>

#include "sim/fluid/fluid_executor.hpp"
#include "sim/simgrid/simgrid_executor.hpp"
#include "tests/sim/policy_run.hpp"

namespace hybridgen::testing {
namespace {

struct Case {
  NamedPolicy choice;
  WorkloadShape workload;
  std::int64_t seed = 0;
};

int pick(int least, int most) {
  return *rc::gen::inRange(least, most + 1);
}

Case any_case() {
  Case c;
  c.choice = *rc::gen::elementOf(all_choices());
  c.choice.composition.admission = *rc::gen::element<std::string>("continuous", "static");
  c.choice.params.set("device_kv_tokens", pick(1, 60));
  std::vector<RequestShape> requests;
  for (int i = pick(1, 10); i > 0; --i) requests.push_back({pick(1, 300), pick(1, 8)});
  c.workload = {std::move(requests), pick(1, 10), *rc::gen::arbitrary<bool>()};
  c.seed = pick(0, 1000);
  return c;
}

std::ostream& operator<<(std::ostream& out, const Case& c) {
  out << c.choice.name << " " << c.choice.composition.admission << " batch " << c.workload.batch << ", seed "
      << c.seed << ", requests";
  for (const RequestShape& request : c.workload.requests) {
    out << " " << request.prompt_tokens << "+" << request.new_tokens;
  }
  return out;
}

template <class SomeExecutor>
Timeline run_case(const Machine& machine, const Case& c) {
  const ModelShape model = small_model();
  Policy policy(c.choice.composition, {machine, model, KvDtype::f16, c.choice.params}, c.workload);
  SomeExecutor executor(machine, std::make_unique<PlatformDurations>(machine), small_outcomes(c.seed));
  Driver driver(machine, model, c.workload, policy, executor);
  std::vector<Tokens> dropped(c.workload.requests.size());
  while (driver.advance()) {
    for (const RequestDecision& row : driver.timeline().steps.back().decision.rows) {
      dropped[row.request.index()] += row.drop_tokens;
    }
    int in_flight = 0;
    for (const RequestView& request : driver.requests()) {
      in_flight += request.in_flight() ? 1 : 0;
      for (const KvHalf half : {KvHalf::k, KvHalf::v}) {
        const Tokens held = request.finished ? 0 : request.cached_tokens - dropped[request.id.index()];
        RC_ASSERT(driver.residency().tokens(request.id, half) == held);
      }
      RC_ASSERT(request.waiting() || request.finished ||
                request.cached_tokens == request.prompt_tokens + request.generated - 1);
    }
    RC_ASSERT(in_flight <= c.workload.batch);
    for (const Tier& tier : machine.tiers()) {
      RC_ASSERT(driver.residency().used(tier.id) <= policy.memory_plan().needed(tier.id));
    }
  }
  for (const RequestView& request : driver.requests()) {
    RC_ASSERT(request.finished);
    RC_ASSERT(request.generated <= request.new_tokens);
    RC_ASSERT(c.workload.stop_at_end_of_sequence || request.generated == request.new_tokens);
  }
  return driver.timeline();
}

RC_GTEST_PROP(UnequalBatches, AnyOnBothEngines_allFinishWithinCapacityByTheSameDecisions, ()) {
  const Case c = any_case();
  RC_LOG() << c;
  const Machine machine = small_machine();
  const Timeline fluid = run_case<FluidExecutor>(machine, c);
  const Timeline simgrid = run_case<SimGridExecutor>(machine, c);
  RC_ASSERT(fluid.decision_hash == simgrid.decision_hash);
  RC_ASSERT(fluid.tier_peak_bytes == simgrid.tier_peak_bytes);
  RC_ASSERT(fluid.steps.size() == simgrid.steps.size());
  for (std::size_t s = 0; s < fluid.steps.size(); ++s) {
    RC_ASSERT(fluid.steps[s].channel_bytes == simgrid.steps[s].channel_bytes);
    RC_ASSERT(std::abs(fluid.steps[s].end - simgrid.steps[s].end) <= 2);
  }
}

}  // namespace
}  // namespace hybridgen::testing
