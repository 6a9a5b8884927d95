// Driver: the loop, against an executor whose every word the test decides.
#include "core/driver/driver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "tests/support/scripted_executor.hpp"
#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// A world, a policy and a driver over them.
struct World {
  World(const test::TinyMachine& tiny, const ModelShape& model, const WorkloadShape& workload,
        const std::string& name, test::ScriptedExecutor::Outcomes outcomes = {})
      : policy(test::make_policy(tiny.machine, model, workload, name)),
        executor(tiny.machine, std::move(outcomes)),
        driver(tiny.machine, model, workload, policy, executor) {}
  Policy policy;
  test::ScriptedExecutor executor;
  Driver driver;
};

class DriverTest : public testing::Test {
 protected:
  test::TinyMachine tiny_;
  const ModelShape model_ = test::tiny_model();
};

TEST_F(DriverTest, records_every_step_and_op) {
  World run(tiny_, model_, {1, 10, 3}, "full-gpu");
  int seen = 0;
  const Timeline& timeline = run.driver.run([&](const StepEvent&) { ++seen; });
  ASSERT_EQ(timeline.steps.size(), 3u);
  EXPECT_EQ(seen, 3);
  const StepEvent& step = timeline.steps[1];
  EXPECT_EQ(step.decision.step, StepId(1));
  EXPECT_EQ(step.start, 110);  // 11 ops of 10 ns per step
  EXPECT_EQ(step.end, 220);
  ASSERT_EQ(step.ops.size(), 11u);
  EXPECT_EQ(step.ops[2].kind, OpKind::attend);
  EXPECT_EQ(step.ops[2].lane, tiny_.stream);
  EXPECT_EQ(step.ops[2].layer, 0);
  EXPECT_EQ(step.ops[2].request, RequestId(0));
  EXPECT_EQ(step.ops[2].start, 130);
  EXPECT_EQ(step.ops[2].end, 140);
  EXPECT_EQ(step.ops[2].bytes, 2 * 11 * 20);
  EXPECT_EQ(step.channel_bytes, test::channel_bytes(*run.executor.steps()[1], tiny_.machine));
  EXPECT_EQ(step.structure, structure_hash(*run.executor.steps()[1]));
  EXPECT_FALSE(run.driver.advance()) << "nothing is left";
}

TEST_F(DriverTest, decision_hash_is_over_the_decisions_in_order) {
  World run(tiny_, model_, {1, 10, 3}, "hybridgen");
  const Timeline& timeline = run.driver.run();
  Hash64 hash;
  for (const StepEvent& step : timeline.steps) add_to(hash, step.decision);
  EXPECT_EQ(timeline.decision_hash, hash.hex());
  World longer(tiny_, model_, {1, 10, 4}, "hybridgen");
  EXPECT_NE(longer.driver.run().decision_hash, timeline.decision_hash);
}

// Recorded runs know nothing of dropped tokens: where there are none, the hash is what it was.
TEST_F(DriverTest, decision_hash_has_dropped_tokens_only_where_there_are_some) {
  const auto hash_of = [](Tokens dropped) {
    Decision decision{StepId(0), {{RequestId(0), 0, 10, 10, 0, 0, 0}}};
    decision.rows[0].drop_tokens = dropped;
    Hash64 hash;
    add_to(hash, decision);
    return hash.value();
  };
  Hash64 before;
  for (const std::int64_t value : {0, 1, 0, 0, 0, 10, 10, 0, 0, 0, 0}) before.add(value);
  EXPECT_EQ(hash_of(0), before.value());
  EXPECT_NE(hash_of(1), before.value());
  EXPECT_NE(hash_of(1), hash_of(2));
}

TEST_F(DriverTest, learns_from_every_record) {
  World run(tiny_, model_, {1, 10, 3}, "full-gpu");
  run.driver.run();
  EXPECT_EQ(run.driver.estimator().seen(OpKind::ffn), 2 * 3);
  EXPECT_EQ(run.driver.estimator().op_ns(OpKind::ffn), 10);
}

TEST_F(DriverTest, peaks_are_reservations_plus_kv_and_kv_is_dropped_at_the_end) {
  // hybridgen: segment 4 of 12 positions; row 20 bytes, 2 layers, K and V.
  World run(tiny_, model_, {1, 10, 3}, "hybridgen");
  const Timeline& timeline = run.driver.run();
  const Bytes exchange = 4 * 4 * 14;  // floor(.5 x 8) rows, 4 heads
  const Bytes staging = 2 * 2 * 20 * 10;
  EXPECT_EQ(timeline.tier_peak_bytes[tiny_.hbm.index()],
            model_.weight_bytes() + staging + exchange + 2 * 2 * 20 * 4);
  EXPECT_EQ(timeline.tier_peak_bytes[tiny_.dram.index()], exchange + 2 * 2 * 20 * 8);
  EXPECT_EQ(timeline.tier_peak_bytes[tiny_.cxl.index()], 0);
  EXPECT_EQ(run.driver.residency().used(tiny_.dram), exchange);
}

TEST_F(DriverTest, outcomes_are_recorded_with_bound_and_count) {
  World run(tiny_, model_, {1, 10, 3}, "hybridgen+threshold", [](const Step&, const Outcome& outcome) {
    return outcome.layer == 0 ? outcome.least : outcome.bound;
  });
  // Step 2: 8 on the host, bound floor(.2 x 8) = 1 row x 4 heads.
  const StepEvent& step = run.driver.run().steps.at(2);
  ASSERT_EQ(step.outcomes.size(), 2u);
  EXPECT_EQ(step.outcomes[1].kind, OutcomeKind::selected_rows);
  EXPECT_EQ(step.outcomes[1].layer, 1);
  EXPECT_EQ(step.outcomes[1].bound, 4);
  EXPECT_EQ(step.outcomes[1].count, 4);
}

TEST_F(DriverTest, end_of_sequence_ends_that_request_alone) {
  // Request 0 stops at the first decode step (step 2); request 1 goes on to its fourth token.
  const auto stop = [](const Step& step, const Outcome& outcome) -> std::int64_t {
    return step.id == StepId(2) && outcome.request == RequestId(0) ? 1 : 0;
  };
  World run(tiny_, model_, {2, 10, 4, true}, "hybridgen", stop);
  const Timeline& timeline = run.driver.run();
  std::vector<std::size_t> rows;
  for (const StepEvent& step : timeline.steps) rows.push_back(step.decision.rows.size());
  EXPECT_THAT(rows, ElementsAre(1, 1, 2, 1, 1));
  EXPECT_EQ(timeline.steps[3].decision.rows[0].request, RequestId(1));
  EXPECT_EQ(run.driver.requests()[0].generated, 2);
  EXPECT_EQ(run.driver.requests()[1].generated, 4);
}

TEST_F(DriverTest, end_of_sequence_at_prefill_means_no_decode_step) {
  World run(tiny_, model_, {1, 10, 4, true}, "full-gpu", [](const Step&, const Outcome&) { return 1; });
  EXPECT_EQ(run.driver.run().steps.size(), 1u);
}

TEST_F(DriverTest, kv_of_an_ended_request_is_dropped_at_once) {
  const auto stop = [](const Step& step, const Outcome& outcome) -> std::int64_t {
    return step.id == StepId(2) && outcome.request == RequestId(0) ? 1 : 0;
  };
  World run(tiny_, model_, {2, 10, 4, true}, "hybridgen", stop);
  for (int i = 0; i < 3; ++i) run.driver.advance();
  EXPECT_EQ(run.driver.residency().tokens(RequestId(0), KvHalf::k), 0);
  EXPECT_EQ(run.driver.residency().tokens(RequestId(1), KvHalf::k), 11);
}

TEST_F(DriverTest, forced_decisions_replace_the_policys) {
  World recorded(tiny_, model_, {1, 10, 4}, "hybridgen");
  std::vector<Decision> decisions;
  for (const StepEvent& step : recorded.driver.run().steps) decisions.push_back(step.decision);
  decisions[2].rows[0].rows_per_head = 1;  // the policy would say 4
  decisions.pop_back();
  World run(tiny_, model_, {1, 10, 4}, "hybridgen");
  run.driver.force(decisions);
  const Timeline& timeline = run.driver.run();
  ASSERT_EQ(timeline.steps.size(), 3u) << "the run ends with the decisions";
  EXPECT_EQ(timeline.steps[2].decision, decisions[2]);
}

TEST_F(DriverTest, forced_decisions_that_lose_a_token_are_refused) {
  World run(tiny_, model_, {1, 10, 4}, "hybridgen");
  run.driver.force({{StepId(0), {{RequestId(0), 0, 10, 4, 5, 0, 0}}}});
  EXPECT_THAT([&] { run.driver.run(); },
              ThrowsMessage<InternalError>(HasSubstr("step 0 request 0: 10 new tokens, 4 to the device, 5")));
}

TEST_F(DriverTest, does_not_fit_says_the_shortage_per_tier_and_what_for) {
  const test::TinyMachine small({9000, 500, 600});
  Policy policy = test::make_policy(small.machine, model_, {1, 10, 4}, "hybridgen");
  test::ScriptedExecutor executor(small.machine);
  // hbm: weights 2 x 4224 + 4 x 60 + segment 320 + staging 800 + exchange 224 = 10032, and 6696 to work in;
  // dram: 224 and 288, which leaves no room for K 360 + V 360; they would lie in cxl.
  EXPECT_THAT(
      [&] {
        Driver(small.machine, model_, {1, 10, 4}, policy, executor);
      },
      ThrowsMessage<DoesNotFit>(AllOf(
          HasSubstr("does not fit on tiny:\n  hbm: needs 16728 bytes, has 9000 (short by 7728)"),
          HasSubstr("\n    weights: 8688"), HasSubstr("\n    device segment: 320"),
          HasSubstr("\n    staging: 800"), HasSubstr("\n    exchange buffers: 224"),
          HasSubstr("\n    activations: 6536"), HasSubstr("\n    workspace: 160"),
          HasSubstr("\n  dram: needs 512 bytes, has 500 (short by 12)"),
          HasSubstr("\n  cxl: needs 720 bytes, has 600 (short by 120)\n    host K: 360\n    host V: 360"))));
  EXPECT_TRUE(executor.steps().empty());
}

TEST_F(DriverTest, exact_fit_runs) {
  const test::TinyMachine exact({16728, 1232, 1});
  Policy policy = test::make_policy(exact.machine, model_, {1, 10, 4}, "hybridgen");
  test::ScriptedExecutor executor(exact.machine);
  Driver driver(exact.machine, model_, {1, 10, 4}, policy, executor);
  EXPECT_EQ(driver.run().steps.size(), 4u);
  // What kernels work in is not kept, so not in the peaks.
  EXPECT_EQ(driver.residency().peak(exact.hbm), 10032);
  EXPECT_EQ(driver.residency().peak(exact.dram), 944);
}

class WrongReport : public DriverTest {
 protected:
  // The message of the InternalError that a report, spoilt so, causes; the run must not go on.
  void expect_refused(const test::ScriptedExecutor::Spoil& spoil, const std::string& message) {
    World run(tiny_, model_, {1, 10, 3}, "hybridgen+threshold");
    ASSERT_TRUE(run.driver.advance());
    run.executor.spoil = spoil;
    EXPECT_THAT([&] { run.driver.advance(); }, ThrowsMessage<InternalError>(HasSubstr(message)));
    EXPECT_EQ(run.driver.timeline().steps.size(), 1u);
  }
};

TEST_F(WrongReport, of_another_step) {
  expect_refused([](Report& report) { report.step = StepId(9); }, "the report is not of step 1");
}

TEST_F(WrongReport, with_a_record_missing) {
  expect_refused([](Report& report) { report.records.pop_back(); }, "step 1");
}

TEST_F(WrongReport, with_records_out_of_order) {
  expect_refused([](Report& report) { std::swap(report.records[0], report.records[1]); }, "op 0");
}

TEST_F(WrongReport, with_a_record_of_no_op) {
  expect_refused([](Report& report) { report.records[2].op = OpId(99); }, "op 2");
}

TEST_F(WrongReport, with_an_op_that_ends_before_it_starts) {
  expect_refused([](Report& report) { report.records[2].end = report.records[2].start - 1; }, "op 2");
}

TEST_F(WrongReport, with_an_outcome_missing) {
  expect_refused([](Report& report) { report.outcomes.pop_back(); }, "outcomes");
}

TEST_F(WrongReport, with_an_outcome_outside_its_bounds) {
  expect_refused([](Report& report) { report.outcomes[1] = 5; }, "outcome 1 of op 17 is 5, bound 4");
  expect_refused([](Report& report) { report.outcomes[0] = 3; }, "outcome 0 of op 6 is 3");
}

TEST_F(WrongReport, with_a_channel_missing) {
  expect_refused([](Report& report) { report.channel_bytes.pop_back(); }, "channels");
}

}  // namespace
}  // namespace hybridgen
