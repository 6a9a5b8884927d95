// validate: hand-made timelines with exact errors.
#include "study/validate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "formats/report_json.hpp"
#include "tests/support/tiny_machine.hpp"

namespace hybridgen {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr TimeNs kMs = 1'000'000;

// A prefill and four decode steps, one ffn on the stream and one load on the copy lane in each. All times by
// the caller: durations of the ffn ops, ends of the steps.
StoredResult result(const std::vector<TimeNs>& ffn_ns, const std::vector<TimeNs>& ends_ms) {
  test::TinyMachine tiny;
  StoredResult stored{Experiment{}, Platform{tiny.machine, "", ""}, "host", "kernels", "", {}, {}};
  Hash64 hash;
  for (std::size_t i = 0; i < ffn_ns.size(); ++i) {
    StepEvent step;
    step.decision.step = StepId(static_cast<std::int64_t>(i));
    const Tokens first = i == 0 ? 0 : 9 + static_cast<Tokens>(i);
    step.decision.rows = {{RequestId(0), first, i == 0 ? 10 : 1, 4, first + (i == 0 ? 6 : -3), 0, 0}};
    step.start = i == 0 ? 0 : ends_ms[i - 1] * kMs;
    step.end = ends_ms[i] * kMs;
    step.ops = {{OpId(0), OpKind::ffn, tiny.stream, 0, RequestId(), step.start, step.start + ffn_ns[i], 8},
                {OpId(1), OpKind::load_kv, tiny.h2d, 0, RequestId(0), step.start, step.start + 100, 8}};
    step.channel_bytes.assign(tiny.machine.channels().size(), 0);
    step.channel_bytes[tiny.pcie_up.index()] = 200;
    add_to(hash, step.decision);
    stored.timeline.steps.push_back(step);
  }
  stored.timeline.decision_hash = stored.decision_hash = hash.hex();
  stored.timeline.tier_peak_bytes = {1000, 500, 0};
  return stored;
}

StoredResult real_result() {
  return result({100, 200, 400, 100, 100}, {10, 12, 14, 16, 18});
}
StoredResult simulated_result() {
  // ffn errors: +10 %, -50 %, 0, +5 %, -20 %.
  StoredResult stored = result({110, 100, 400, 105, 80}, {9, 12, 14, 17, 19});
  stored.executor = "simgrid";
  stored.outcome_source = "seeded";
  return stored;
}

const LatencyError& latency(const ValidationReport& report, const std::string& name) {
  for (const LatencyError& each : report.latencies) {
    if (each.name == name) return each;
  }
  throw std::out_of_range(name);
}

TEST(Validate, op_kinds_have_signed_median_and_absolute_tail_of_the_pairs) {
  const ValidationReport report = validate(real_result(), simulated_result());
  ASSERT_EQ(report.op_kinds.size(), 2u);
  const OpKindError& load = report.op_kinds[0];
  EXPECT_EQ(load.kind, OpKind::load_kv);
  EXPECT_EQ(load.worst_abs_error, 0);
  const OpKindError& ffn = report.op_kinds[1];
  EXPECT_EQ(ffn.kind, OpKind::ffn);
  EXPECT_EQ(ffn.count, 5);
  EXPECT_EQ(ffn.real_median_ns, 100);
  EXPECT_EQ(ffn.simulated_median_ns, 105);
  // Sorted: -.5, -.2, 0, .05, .1. Nearest rank: 50 % is the third, 95 % of five the fifth.
  EXPECT_DOUBLE_EQ(ffn.median_error, 0);
  EXPECT_DOUBLE_EQ(ffn.p95_abs_error, .5);
  EXPECT_DOUBLE_EQ(ffn.worst_abs_error, .5);
  EXPECT_EQ(report.ops, 10);
  EXPECT_EQ(report.steps, 5);
}

TEST(Validate, p95_leaves_out_one_in_twenty) {
  std::vector<TimeNs> real(20, 100), simulated(20, 103), ends;
  simulated[7] = 300;
  for (int i = 1; i <= 20; ++i) ends.push_back(i);
  const ValidationReport report = validate(result(real, ends), result(simulated, ends));
  EXPECT_DOUBLE_EQ(report.op_kinds[1].median_error, .03);
  EXPECT_DOUBLE_EQ(report.op_kinds[1].p95_abs_error, .03);
  EXPECT_DOUBLE_EQ(report.op_kinds[1].worst_abs_error, 2);
}

TEST(Validate, latencies_are_exact) {
  const ValidationReport report = validate(real_result(), simulated_result());
  EXPECT_DOUBLE_EQ(latency(report, "ttft mean").real_ms, 10);
  EXPECT_DOUBLE_EQ(latency(report, "ttft mean").error, -.1);
  // Real TPOT 2 2 2 2, simulated 3 2 3 2.
  EXPECT_DOUBLE_EQ(latency(report, "tpot mean").simulated_ms, 2.5);
  EXPECT_DOUBLE_EQ(latency(report, "tpot mean").error, .25);
  EXPECT_DOUBLE_EQ(latency(report, "tpot p50").error, 0);
  EXPECT_DOUBLE_EQ(latency(report, "tpot p99").error, .5);
}

TEST(Validate, spread_is_range_over_median_of_the_real_repeats) {
  StoredResult real = real_result();
  for (const double tpot : {2.0, 2.5, 1.8, 2.2, 1.9}) {
    RunMetrics metrics;
    metrics.ttft_ms = 10;
    metrics.tpot_mean_ms = tpot;
    real.repeats.push_back(metrics);
  }
  const ValidationReport report = validate(real, simulated_result());
  EXPECT_DOUBLE_EQ(latency(report, "tpot mean").real_spread.value(), .7 / 2);
  EXPECT_DOUBLE_EQ(latency(report, "ttft mean").real_spread.value(), 0);
  EXPECT_EQ(report.real_repeats, 5);
  EXPECT_TRUE(report.notes.empty());
}

TEST(Validate, one_repeat_has_no_spread_and_says_so) {
  StoredResult real = real_result();
  real.repeats.resize(1);
  const ValidationReport report = validate(real, simulated_result());
  EXPECT_EQ(latency(report, "tpot mean").real_spread, std::nullopt);
  EXPECT_THAT(report.notes, Contains(HasSubstr("only 1 real repeats")));
}

TEST(Validate, several_requests_have_percentiles_of_ttft) {
  StoredResult real = real_result();
  StoredResult simulated = simulated_result();
  for (StoredResult* each : {&real, &simulated}) {
    each->timeline.steps[1].decision.rows[0].first_position = 0;  // a second prefill
  }
  const ValidationReport report = validate(real, simulated);
  EXPECT_DOUBLE_EQ(latency(report, "ttft mean").real_ms, 11);
  EXPECT_DOUBLE_EQ(latency(report, "ttft p50").real_ms, 10);
  EXPECT_DOUBLE_EQ(latency(report, "ttft p99").real_ms, 12);
  EXPECT_DOUBLE_EQ(latency(report, "ttft p50").error, -.1);
}

TEST(Validate, bytes_per_channel_and_peak_per_tier) {
  StoredResult simulated = simulated_result();
  simulated.timeline.steps[0].channel_bytes[3] = 0;  // pcie up: 800 of 1000
  simulated.timeline.steps[0].channel_bytes[0] = 5;  // hbm: 5 of none
  simulated.timeline.tier_peak_bytes = {1100, 500, 0};
  const ValidationReport report = validate(real_result(), simulated);
  EXPECT_EQ(report.channels[3].name, "pcie up");
  EXPECT_EQ(report.channels[3].real, 1000);
  EXPECT_EQ(report.channels[3].simulated, 800);
  EXPECT_DOUBLE_EQ(report.channels[3].error, -.2);
  EXPECT_TRUE(std::isinf(report.channels[0].error));
  EXPECT_EQ(report.channels[1].error, 0) << "none and none";
  EXPECT_DOUBLE_EQ(report.tier_peaks[0].error, .1);
  EXPECT_EQ(report.tier_peaks[1].error, 0);
}

class ValidateRefuses : public testing::Test {
 protected:
  void expect(const std::string& message) {
    EXPECT_THAT([this] { validate(real_, simulated_); }, ThrowsMessage<BadInput>(HasSubstr(message)));
  }
  StoredResult real_ = real_result();
  StoredResult simulated_ = simulated_result();
};

TEST_F(ValidateRefuses, another_decision_and_names_the_first) {
  simulated_.timeline.steps[2].decision.rows[0].host_tokens = 9;
  simulated_.timeline.steps[3].decision.rows[0].host_tokens = 9;
  expect("step 2, request 0, host_tokens: 8 in the real run, 9 in the simulated one");
}

TEST_F(ValidateRefuses, another_op) {
  simulated_.timeline.steps[1].ops[1].kind = OpKind::send_rows;
  expect("step 1, op 1: load_kv on copy up, layer 0, request 0 in the real run, send_rows on copy up");
}

TEST_F(ValidateRefuses, another_number_of_ops) {
  simulated_.timeline.steps[1].ops.pop_back();
  expect("step 1, number of ops: 2 in the real run, 1 in the simulated one");
}

TEST_F(ValidateRefuses, another_number_of_steps) {
  simulated_.timeline.steps.pop_back();
  expect("number of steps: 5 in the real run, 4 in the simulated one");
}

TEST_F(ValidateRefuses, another_platform) {
  simulated_.platform.machine.add_channel("nvlink", ChannelKind::link, 1);
  expect("channels of the platform: ");
}

TEST_F(ValidateRefuses, a_result_whose_decisions_do_not_have_its_hash) {
  real_.decision_hash = "0123456789abcdef";
  expect("its manifest says 0123456789abcdef");
}

TEST_F(ValidateRefuses, results_without_steps) {
  real_.timeline.steps.clear();
  simulated_.timeline.steps.clear();
  real_.timeline.decision_hash = simulated_.timeline.decision_hash = real_.decision_hash;
  expect("no steps");
}

TEST(Validate, emulated_tiers_unreal_runs_and_other_outcomes_are_noted) {
  StoredResult real = real_result();
  real.platform.machine.add_tier("cxl 1", TierKind::cxl, 100, ChannelId(2), true);
  real.timeline.tier_peak_bytes.push_back(50);
  real.executor = "fluid";
  real.outcome_source = "seeded";
  StoredResult simulated = simulated_result();
  simulated.platform = real.platform;
  real.timeline.steps[1].outcomes = {{OutcomeKind::selected_rows, RequestId(0), 0, 9, 3}};
  simulated.timeline.steps[1].outcomes = {{OutcomeKind::selected_rows, RequestId(0), 0, 9, 4}};
  const auto notes = validate(real, simulated).notes;
  EXPECT_THAT(notes, Contains(HasSubstr("tier cxl 1 is emulated")));
  EXPECT_THAT(notes, Contains(HasSubstr("no real run")));
  EXPECT_THAT(notes, Contains(HasSubstr("1 outcomes differ")));
}

TEST(ValidationText, has_every_figure_with_unit_and_sign) {
  const std::string text = to_text(validate(real_result(), simulated_result()));
  EXPECT_THAT(text, HasSubstr("simulated (simgrid, outcomes: seeded) against real (host, 0 repeats)"));
  EXPECT_THAT(text, HasSubstr("5 steps, 10 ops"));
  EXPECT_THAT(text, HasSubstr("tpot mean    2.000         2.500    +25.0              unknown"));
  EXPECT_THAT(text, HasSubstr("ffn          5     0.10          0.10            +0.0           50.0"));
  EXPECT_THAT(text, HasSubstr("pcie up"));
}

TEST(ValidationJson, carries_the_same_figures_and_null_for_the_unknown) {
  StoredResult simulated = simulated_result();
  simulated.timeline.steps[0].channel_bytes[0] = 5;
  const auto json = nlohmann::json::parse(to_json(validate(real_result(), simulated)));
  EXPECT_EQ(json.at("ops"), 10);
  EXPECT_EQ(json.at("op_kinds").at("ffn").at("worst_abs_error"), .5);
  EXPECT_EQ(json.at("latencies").at("tpot mean").at("error"), .25);
  EXPECT_TRUE(json.at("latencies").at("tpot mean").at("real_spread").is_null());
  EXPECT_TRUE(json.at("channels").at("hbm").at("error").is_null());
  EXPECT_EQ(json.at("tier_peaks").at("dram").at("real_bytes"), 500);
}

}  // namespace
}  // namespace hybridgen
