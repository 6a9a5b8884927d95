// The same policies on both engines: same decisions, same bytes, times within 2 ns.
#include <gtest/gtest.h>

#include "sim/fluid/fluid_executor.hpp"
#include "sim/simgrid/simgrid_executor.hpp"
#include "tests/sim/policy_run.hpp"

namespace hybridgen::testing {
namespace {

template <class SomeExecutor>
Timeline run_on(const Machine& machine, const NamedPolicy& choice, bool stop) {
  SomeExecutor executor(machine, std::make_unique<PlatformDurations>(machine), small_outcomes());
  return run_policy(machine, choice, executor, stop);
}

TEST(PoliciesOnBoth, EveryComposition_sameRunWithinTwoNanoseconds) {
  const Machine machine = small_machine();
  for (const NamedPolicy& choice : all_choices()) {
    for (const bool stop : {false, true}) {
      SCOPED_TRACE(choice.name + (stop ? " stop" : ""));
      expect_same_runs(run_on<FluidExecutor>(machine, choice, stop),
                       run_on<SimGridExecutor>(machine, choice, stop), 2);
    }
  }
}

}  // namespace
}  // namespace hybridgen::testing
