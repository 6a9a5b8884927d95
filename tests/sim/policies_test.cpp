// Whole policies on the engine under test: every composition, with and without an early end.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "sim/world/replay_durations.hpp"
#include "tests/sim/engine_under_test.hpp"
#include "tests/sim/policy_run.hpp"

namespace hybridgen::testing {
namespace {

class PolicyRun : public ::testing::TestWithParam<std::tuple<NamedPolicy, bool>> {
 protected:
  Timeline run() {
    const auto& [choice, stop] = GetParam();
    const auto executor =
        make_executor(machine_, std::make_unique<PlatformDurations>(machine_), small_outcomes());
    return run_policy(machine_, choice, *executor, stop);
  }
  const Machine machine_ = small_machine();
};

std::string test_name(const ::testing::TestParamInfo<std::tuple<NamedPolicy, bool>>& info) {
  std::string name = std::get<0>(info.param).name + (std::get<1>(info.param) ? "_stop" : "");
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, PolicyRun,
                         ::testing::Combine(::testing::ValuesIn(all_choices()), ::testing::Bool()),
                         test_name);

TEST_P(PolicyRun, SecondRun_isEqual) {
  expect_same_runs(run(), run(), 0);
}

// Every op lies in its step, after what it needs, in its lane's order; steps do not overlap.
TEST_P(PolicyRun, Timeline_keepsLaneAndStepOrder) {
  const Timeline timeline = run();
  ASSERT_GT(timeline.steps.size(), 3u);
  TimeNs before = 0;
  for (const StepEvent& step : timeline.steps) {
    if (step.decision.step.value > 0) {
      EXPECT_EQ(step.start, before + 7000);
    }
    std::map<LaneId, TimeNs> lane_end;
    for (const OpEvent& op : step.ops) {
      EXPECT_GE(op.start, std::max(step.start, lane_end[op.lane]));
      EXPECT_GE(op.end, op.start);
      EXPECT_LE(op.end, step.end);
      lane_end[op.lane] = op.end;
    }
    before = step.end;
  }
}

// Bytes of a channel in a step need at least bytes / rate: nothing goes faster than its channel.
TEST_P(PolicyRun, Channels_areNeverFasterThanTheirRate) {
  for (const StepEvent& step : run().steps) {
    for (const Channel& channel : machine_.channels()) {
      const double needed_ns =
          static_cast<double>(step.channel_bytes[channel.id.index()]) / channel.bytes_per_s * 1e9;
      EXPECT_LE(needed_ns, static_cast<double>(step.end - step.start) + 1) << channel.name;
    }
  }
}

TEST_P(PolicyRun, Replay_isEqualToTheNanosecond) {
  const Timeline recorded = run();
  const auto& [choice, stop] = GetParam();
  const auto executor = make_executor(
      machine_, std::make_unique<ReplayDurations>(recorded, ReplayCheck::bytes), small_outcomes());
  expect_same_runs(recorded, run_policy(machine_, choice, *executor, stop), 0);
}

TEST(PolicyRunStops, EndOfSequence_savesTokens) {
  const Machine machine = small_machine();
  std::vector<std::size_t> tokens;
  for (const bool stop : {false, true}) {
    const auto executor =
        make_executor(machine, std::make_unique<PlatformDurations>(machine), small_outcomes());
    tokens.push_back(0);
    for (const StepEvent& step : run_policy(machine, choose("full-gpu"), *executor, stop).steps) {
      tokens.back() += step.decision.rows.size();
    }
  }
  EXPECT_EQ(tokens[0], 3u * 12u);
  EXPECT_LT(tokens[1], tokens[0]);
}

}  // namespace
}  // namespace hybridgen::testing
