// What is SimGrid's own about its engine: one at a time, a clock that goes on, a platform made beforehand.
#include "sim/simgrid/simgrid_engine.hpp"

#include <gtest/gtest.h>

#include "sim/world/plan_run.hpp"

namespace hybridgen::testing {
namespace {

const ChannelPath kPath{ChannelId(0)};

PlannedOp copy(double bytes) {
  return {{}, {0, 0, {{bytes, 0, kPath}}}};
}

TEST(SimGridEngine, SecondEngineAfterTheFirst_countsFromItsOwnStart) {
  for (int i = 0; i < 20; ++i) {
    SimGridEngine engine({{10e9}, {kPath}, 4});
    EXPECT_NEAR(run_plans(engine, {copy(1000)})[0].end_ns, 100, 1e-6);
  }
}

TEST(SimGridEngine, SecondEngineBesideTheFirst_isOurBug) {
  SimGridEngine engine({{10e9}, {kPath}, 4});
  EXPECT_THROW(SimGridEngine({{10e9}, {kPath}, 4}), InternalError);
  EXPECT_NEAR(run_plans(engine, {copy(1000)})[0].end_ns, 100, 1e-6);
}

TEST(SimGridEngine, PathItWasNotMadeFor_isOurBug) {
  SimGridEngine engine({{10e9, 10e9}, {kPath}, 4});
  EXPECT_THROW(run_plans(engine, {{{}, {0, 0, {{1000, 0, {ChannelId(1)}}}}}}), InternalError);
}

TEST(SimGridEngine, MoreLegsThanItWasMadeFor_isOurBug) {
  SimGridEngine engine({{10e9}, {kPath}, 2});
  EXPECT_THROW(run_plans(engine, {copy(1000), copy(1000), copy(1000)}), InternalError);
  EXPECT_NEAR(run_plans(engine, {copy(1000), copy(1000)})[0].end_ns, 200, 1e-6);
}

}  // namespace
}  // namespace hybridgen::testing
