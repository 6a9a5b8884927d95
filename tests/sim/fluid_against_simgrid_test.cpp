// The two engines share no code for time and sharing: on random plans they must say the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/fluid/fluid_engine.hpp"
#include "sim/simgrid/simgrid_engine.hpp"
#include "tests/sim/random_plans.hpp"

namespace hybridgen::testing {
namespace {

constexpr double kToleranceNs = 2;

// The largest difference of any start or end; the first op beyond the tolerance is named.
double compare(const std::vector<OpSpan>& fluid, const std::vector<OpSpan>& simgrid) {
  double worst = 0;
  EXPECT_EQ(fluid.size(), simgrid.size());
  for (std::size_t i = 0; i < fluid.size(); ++i) {
    const double difference = std::max(std::abs(fluid[i].start_ns - simgrid[i].start_ns),
                                       std::abs(fluid[i].end_ns - simgrid[i].end_ns));
    if (difference > kToleranceNs && worst <= kToleranceNs) {
      ADD_FAILURE() << "op " << i << ": fluid " << fluid[i].start_ns << ".." << fluid[i].end_ns
                    << ", simgrid " << simgrid[i].start_ns << ".." << simgrid[i].end_ns;
    }
    worst = std::max(worst, difference);
  }
  return worst;
}

double compare_on(const RandomWorld& world, const std::vector<std::vector<PlannedOp>>& plans, int lanes) {
  FluidEngine fluid(world.channel_bytes_per_s);
  SimGridEngine simgrid({world.channel_bytes_per_s, world.paths, 4 * lanes});
  double worst = 0;
  for (const std::vector<PlannedOp>& ops : plans) {
    worst = std::max(worst, compare(run_plans(fluid, ops), run_plans(simgrid, ops)));
  }
  return worst;
}

bool share_a_channel(const PlannedOp& a, const PlannedOp& b) {
  for (const Flow& x : a.plan.flows) {
    for (const Flow& y : b.plan.flows) {
      const auto meets = [&y](ChannelId id) {
        return std::find(y.channels.begin(), y.channels.end(), id) != y.channels.end();
      };
      if (std::any_of(x.channels.begin(), x.channels.end(), meets)) return true;
    }
  }
  return false;
}

// Ops that really met another one on a channel: both were under way at some time.
std::int64_t ops_that_share(const RandomWorld& world, const std::vector<PlannedOp>& ops) {
  FluidEngine fluid(world.channel_bytes_per_s);
  const std::vector<OpSpan> spans = run_plans(fluid, ops);
  std::int64_t sharing = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    for (std::size_t j = 0; j < ops.size(); ++j) {
      const bool together = spans[i].start_ns < spans[j].end_ns && spans[j].start_ns < spans[i].end_ns;
      if (i == j || !together || !share_a_channel(ops[i], ops[j])) continue;
      ++sharing;
      break;
    }
  }
  return sharing;
}

// 1,000 plans of 20 to 200 ops: 100 worlds, 2 to 16 lanes.
TEST(FluidAgainstSimGrid, ThousandRandomPlans_withinTwoNanoseconds) {
  double worst = 0;
  std::int64_t ops = 0;
  std::int64_t sharing = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Draw draw(seed);
    const RandomWorld world = random_world(draw);
    const int lanes = static_cast<int>(draw.between(2, 16));
    std::vector<std::vector<PlannedOp>> plans;
    for (int i = 0; i < 10; ++i) {
      plans.push_back(random_plans(world, lanes, static_cast<int>(draw.between(20, 200)), draw));
      ops += static_cast<std::int64_t>(plans.back().size());
      sharing += ops_that_share(world, plans.back());
    }
    worst = std::max(worst, compare_on(world, plans, lanes));
    ASSERT_FALSE(HasFailure());
  }
  RecordProperty("worst_ns", std::to_string(worst));
  std::printf("worst difference %.6f ns; %.1f %% of the ops shared a channel while they ran\n", worst,
              100 * static_cast<double>(sharing) / static_cast<double>(ops));
  EXPECT_GE(2 * sharing, ops);
}

// Drift would grow with the length: the last op of 20,000 is as near as the first.
TEST(FluidAgainstSimGrid, LongPlans_doNotDrift) {
  for (std::uint64_t seed = 1000; seed < 1004; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Draw draw(seed);
    const RandomWorld world = random_world(draw);
    const int lanes = static_cast<int>(draw.between(2, 16));
    const double worst = compare_on(world, {random_plans(world, lanes, 20'000, draw)}, lanes);
    EXPECT_LT(worst, 0.1);
    std::printf("%d lanes: worst difference %.6f ns\n", lanes, worst);
  }
}

// What shares the bytes shares the time: a chain of 10,000 capped copies ends at their sum.
TEST(FluidAgainstSimGrid, ChainOfCopies_endsAtTheSum) {
  const ChannelPath path{ChannelId(0)};
  std::vector<PlannedOp> ops;
  for (int i = 0; i < 10'000; ++i) {
    PlannedOp op;
    if (i > 0) op.dependencies = {OpId(i - 1)};
    op.plan = {0, 0.5, {{1000, 3e9, path}}};  // 0.5 + 1000 / 3
    ops.push_back(op);
  }
  FluidEngine fluid({10e9});
  SimGridEngine simgrid({{10e9}, {path}, 4});
  const double expected = 10'000 * (0.5 + 1000.0 / 3);
  EXPECT_NEAR(run_plans(fluid, ops).back().end_ns, expected, 1e-3);
  EXPECT_NEAR(run_plans(simgrid, ops).back().end_ns, expected, 1e-1);
}

}  // namespace
}  // namespace hybridgen::testing
