// Timelines worked out by hand, with the equations. Rates are in bytes per ns: channel 0 gives 10, channel 1
// gives 20, channel 2 gives 4.
#include <gtest/gtest.h>

#include "tests/sim/engine_under_test.hpp"

namespace hybridgen::testing {
namespace {

const ChannelPath kA{ChannelId(0)};
const ChannelPath kB{ChannelId(1)};
const ChannelPath kC{ChannelId(2)};
const ChannelPath kAB{ChannelId(0), ChannelId(1)};
const ChannelPath kBC{ChannelId(1), ChannelId(2)};

Flow flow(double bytes, const ChannelPath& path, double cap_per_ns = 0) {
  return {bytes, cap_per_ns * 1e9, path};
}

OpId id(int value) {
  return OpId(value);
}

using Times = std::vector<std::pair<double, double>>;

void expect_times(const std::vector<PlannedOp>& ops, const Times& expected) {
  const auto engine = make_engine({10e9, 20e9, 4e9}, {kA, kB, kC, kAB, kBC});
  const std::vector<OpSpan> spans = run_plans(*engine, ops);
  ASSERT_EQ(spans.size(), expected.size());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    EXPECT_NEAR(spans[i].start_ns, expected[i].first, 1e-3) << engine_under_test() << " op " << i;
    EXPECT_NEAR(spans[i].end_ns, expected[i].second, 1e-3) << engine_under_test() << " op " << i;
  }
}

// Lane 1: 0..100; lane 2: 0..30; joined by max(100, 30) = 100, 100 + 50 = 150.
TEST(HandTimeline, FixedTimes_joinOfTwoLanes_startsAtTheLater) {
  expect_times({{{}, {0, 100, {}}}, {{}, {0, 30, {}}}, {{id(0), id(1)}, {0, 50, {}}}},
               {{0, 100}, {0, 30}, {100, 150}});
}

// Launch 5, then 1000 bytes at 10 per ns: 5 + 100 = 105.
TEST(HandTimeline, OneFlow_fixedThenBytesOverRate) {
  expect_times({{{}, {0, 5, {flow(1000, kA)}}}}, {{0, 105}});
}

// The cap 4 is below the channel's 10: 1000 / 4 = 250. Above it, it does nothing: 1000 / 10 = 100.
TEST(HandTimeline, OneFlow_capLimitsOnlyBelowTheChannel) {
  expect_times({{{}, {0, 0, {flow(1000, kA, 4)}}}, {{id(0)}, {0, 0, {flow(1000, kA, 40)}}}},
               {{0, 250}, {250, 350}});
}

// Both have 5 until 1000 / 5 = 200; then 1000 bytes of the longer remain at 10: 200 + 100 = 300.
TEST(HandTimeline, TwoFlows_shareThenTheLongerHasAll) {
  expect_times({{{}, {0, 0, {flow(1000, kA)}}}, {{}, {0, 0, {flow(2000, kA)}}}}, {{0, 200}, {0, 300}});
}

// Capped at 2, the first leaves 8 to the second: 1600 / 8 = 200, 600 / 2 = 300.
TEST(HandTimeline, TwoFlows_whatACapLeavesGoesToTheOther) {
  expect_times({{{}, {0, 0, {flow(600, kA, 2)}}}, {{}, {0, 0, {flow(1600, kA)}}}}, {{0, 300}, {0, 200}});
}

// x over B and C, y over B: C gives x 4, so y has 20 - 4 = 16. y: 1600 / 16 = 100; x: 800 / 4 = 200.
TEST(HandTimeline, BottleneckElsewhere_restOfTheChannelIsUsed) {
  expect_times({{{}, {0, 0, {flow(800, kBC)}}}, {{}, {0, 0, {flow(1600, kB)}}}}, {{0, 200}, {0, 100}});
}

// x alone on A from 0 at 10; y joins at 40: x has 1000 - 400 = 600 left, both at 5. y: 40 + 300 / 5 = 100. x
// then has 600 - 300 = 300 left at 10: 100 + 30 = 130.
TEST(HandTimeline, FlowJoinsLater_sharesFromThen) {
  expect_times({{{}, {0, 0, {flow(1000, kA)}}}, {{}, {0, 40, {flow(300, kA)}}}}, {{0, 130}, {0, 100}});
}

// Legs of one op: A 1000 / 10 = 100, C 600 / 4 = 150, computing 900 at 10 per ns = 90. The last ends it: 20 +
// 150.
TEST(HandTimeline, SeveralLegs_endWithTheLast) {
  expect_times({{{}, {0, 20, {flow(1000, kA), flow(600, kC), {900, 10e9, {}}}}}}, {{0, 170}});
}

// Ready at 100, starts 30 later, has its fixed 10 until 140. Only then do its bytes disturb the other flow,
// which has moved 1400: both at 5, so 140 + 100 / 5 = 160; the other's last 500 at 10: 160 + 50 = 210.
TEST(HandTimeline, Delay_movesTheStartOnly) {
  expect_times({{{}, {0, 100, {}}}, {{id(0)}, {30, 10, {flow(100, kA)}}}, {{}, {0, 0, {flow(2000, kA)}}}},
               {{0, 100}, {130, 160}, {0, 210}});
}

// Ops without time end when they are ready, in a chain too: 70, 70, 70; the op after them takes 10.
TEST(HandTimeline, OpsWithoutTime_endAtOnce) {
  expect_times({{{}, {0, 70, {}}}, {{id(0)}, {}}, {{id(1)}, {}}, {{id(2), id(0)}, {0, 10, {}}}, {{}, {}}},
               {{0, 70}, {70, 70}, {70, 70}, {70, 80}, {0, 0}});
}

// A and B at once: x over A and B, y over A, z over B. A: x and y have 5 each; B: z has 20 - 5 = 15.
// z: 1500 / 15 = 100, by when x has 500 of 1000. y ends at 750 / 5 = 150; x then has 1000 - 750 = 250 left at
// 10: 150 + 25 = 175.
TEST(HandTimeline, ThreeFlowsOverTwoChannels_maxMin) {
  expect_times(
      {{{}, {0, 0, {flow(1000, kAB)}}}, {{}, {0, 0, {flow(750, kA)}}}, {{}, {0, 0, {flow(1500, kB)}}}},
      {{0, 175}, {0, 150}, {0, 100}});
}

TEST(EnginePort, SecondRun_startsFromIdle) {
  const auto engine = make_engine({10e9}, {kA});
  const std::vector<PlannedOp> ops{{{}, {0, 3, {flow(1000, kA)}}}};
  const double first = run_plans(*engine, ops)[0].end_ns;
  EXPECT_NEAR(first, 103, 1e-6);
  EXPECT_NEAR(run_plans(*engine, ops)[0].end_ns, first, 1e-6);
}

TEST(EnginePort, NothingToDo_isDone) {
  const auto engine = make_engine({10e9}, {kA});
  EXPECT_TRUE(run_plans(*engine, {}).empty());
}

TEST(EnginePort, PlanThrows_comesOutAndTheEngineIsUsableAgain) {
  const auto engine = make_engine({10e9}, {kA});
  const OpGraph graph({{}, {id(0)}, {}});
  const auto plan = [](OpId op) -> OpPlan {
    if (op.value == 1) throw std::runtime_error("op 1");
    return {0, 10, {flow(1000, kA)}};
  };
  EXPECT_THROW(engine->run(graph, plan), std::runtime_error);
  EXPECT_NEAR(run_plans(*engine, {{{}, {0, 3, {flow(1000, kA)}}}})[0].end_ns, 103, 1e-6);
}

TEST(EnginePort, BadPlans_areOurBugs) {
  const auto engine = make_engine({10e9}, {kA});
  EXPECT_THROW(run_plans(*engine, {{{}, {0, -1, {}}}}), InternalError);
  EXPECT_THROW(run_plans(*engine, {{{}, {-1, 0, {}}}}), InternalError);
  EXPECT_THROW(run_plans(*engine, {{{}, {0, 0, {{100, 0, {}}}}}}), InternalError);
  EXPECT_THROW(run_plans(*engine, {{{}, {0, 0, {{0, 1e9, kA}}}}}), InternalError);
  EXPECT_THROW(run_plans(*engine, {{{}, {0, 0, {{1.5, 1e9, kA}}}}}), InternalError);
  EXPECT_THROW(run_plans(*engine, {{{id(0)}, {}}}), InternalError);
}

}  // namespace
}  // namespace hybridgen::testing
