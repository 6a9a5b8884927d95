// Replay of recorded runs: equal where nothing changed, refused where a decision did.
#include "sim/world/replay_durations.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "sim/fluid/fluid_executor.hpp"
#include "sim/world/recorded_outcomes.hpp"
#include "tests/sim/policy_run.hpp"

namespace hybridgen::testing {
namespace {

class ReplayTest : public ::testing::Test {
 protected:
  ReplayTest() {
    FluidExecutor executor(machine_, std::make_unique<PlatformDurations>(machine_), small_outcomes());
    recorded_ = run_policy(machine_, threshold(), executor, true);
  }

  static NamedPolicy threshold(Tokens device_kv_tokens = 24) {
    return choose("hybridgen", "threshold", "", device_kv_tokens);
  }

  Timeline replay(const NamedPolicy& choice, ReplayCheck check = ReplayCheck::structure, bool stop = true) {
    FluidExecutor executor(machine_, std::make_unique<ReplayDurations>(recorded_, check),
                           std::make_unique<RecordedOutcomes>(recorded_));
    return run_policy(machine_, choice, executor, stop);
  }

  // The message with which the replay is refused; empty when it is not.
  std::string refusal(const NamedPolicy& choice, ReplayCheck check = ReplayCheck::structure,
                      bool stop = true) {
    try {
      replay(choice, check, stop);
      return {};
    } catch (const BadInput& error) {
      return error.what();
    }
  }

  const Machine machine_ = small_machine();
  Timeline recorded_;
};

TEST_F(ReplayTest, SameDecisions_equalTimeline) {
  expect_same_runs(recorded_, replay(threshold(), ReplayCheck::bytes), 0);
}

// A recording that starts late, with uneven gaps and idle lanes, as a real one does.
TEST_F(ReplayTest, UnevenRecording_equalTimeline) {
  TimeNs shift = 12'345;
  for (StepEvent& step : recorded_.steps) {
    step.start += shift;
    shift += 17;
    TimeNs end = step.start;
    for (OpEvent& op : step.ops) {
      op.start += shift;
      op.end += shift;
      end = std::max(end, op.end);
    }
    step.end = end;
    shift += 31;
  }
  expect_same_runs(recorded_, replay(threshold(), ReplayCheck::bytes), 0);
}

TEST_F(ReplayTest, ForcedDecisions_equalTimeline) {
  const ModelShape model = small_model();
  const WorkloadShape workload = small_workload(true);
  const NamedPolicy other = threshold();
  Policy policy(other.composition, {machine_, model, KvDtype::f16, other.params}, workload);
  FluidExecutor executor(machine_, std::make_unique<ReplayDurations>(recorded_, ReplayCheck::bytes),
                         std::make_unique<RecordedOutcomes>(recorded_));
  Driver driver(machine_, model, workload, policy, executor);
  std::vector<Decision> decisions;
  for (const StepEvent& step : recorded_.steps) decisions.push_back(step.decision);
  driver.force(decisions);
  expect_same_runs(recorded_, driver.run(), 0);
}

TEST_F(ReplayTest, OtherPolicy_namesStepAndOp) {
  EXPECT_NE(refusal(choose("full-gpu")).find("replay: step 0 "), std::string::npos)
      << refusal(choose("full-gpu"));
  // Same ops, another kind at one place.
  recorded_.steps[1].ops[4].kind = OpKind::lm_head;
  EXPECT_NE(refusal(threshold()).find("replay: step 1 op 4 is "), std::string::npos) << refusal(threshold());
}

TEST_F(ReplayTest, OtherLaneLayerOrRequest_isRefused) {
  const Timeline original = recorded_;
  recorded_.steps[2].ops[3].lane = LaneId((original.steps[2].ops[3].lane.value + 1) % 4);
  EXPECT_NE(refusal(threshold()).find("step 2 op 3"), std::string::npos);
  recorded_ = original;
  recorded_.steps[2].ops[3].layer += 1;
  EXPECT_NE(refusal(threshold()).find("step 2 op 3"), std::string::npos);
  recorded_ = original;
  recorded_.steps[2].ops[3].request = RequestId(original.steps[2].ops[3].request.value + 1);
  EXPECT_NE(refusal(threshold()).find("step 2 op 3"), std::string::npos);
  recorded_ = original;
  recorded_.steps[2].structure += 1;
  EXPECT_NE(refusal(threshold()).find("step 2 has the recorded ops, but"), std::string::npos);
}

// A smaller device segment makes the same ops with other sizes: the bytes tell.
TEST_F(ReplayTest, DecisionThatChangesSizesOnly_isNoticedByItsBytes) {
  EXPECT_EQ(refusal(threshold(20), ReplayCheck::bytes).find("replay: step 0 op "), 0u)
      << refusal(threshold(20), ReplayCheck::bytes);
}

TEST_F(ReplayTest, LongerRunThanRecorded_isRefused) {
  recorded_.steps.pop_back();
  EXPECT_NE(refusal(threshold()).find("was not recorded"), std::string::npos) << refusal(threshold());
}

TEST_F(ReplayTest, RecordThatBreaksADependency_namesStepAndOp) {
  recorded_.steps[1].ops[2].start = recorded_.steps[1].start;
  EXPECT_NE(refusal(threshold()).find("step 1 op 2 "), std::string::npos) << refusal(threshold());
}

TEST_F(ReplayTest, StepsThatOverlap_areRefused) {
  recorded_.steps[1].start = recorded_.steps[0].end - 1;
  EXPECT_NE(refusal(threshold()).find("step 1 is recorded to start before"), std::string::npos);
}

TEST_F(ReplayTest, StepEndThatIsNotItsLastOps_isRefused) {
  recorded_.steps[1].end += 1;
  EXPECT_THROW(ReplayDurations(recorded_, ReplayCheck::structure), BadInput);
}

TEST_F(ReplayTest, OpsOutOfOrder_areRefused) {
  std::swap(recorded_.steps[0].ops[0], recorded_.steps[0].ops[1]);
  EXPECT_THROW(ReplayDurations(recorded_, ReplayCheck::structure), BadInput);
}

}  // namespace
}  // namespace hybridgen::testing
