#include "study/ablation.hpp"

#include <gtest/gtest.h>

#include "tests/support/tiny_machine.hpp"

namespace hybridgen {
namespace {

AblationPoint point(const std::string& variant, const std::string& platform, double tpot_ms) {
  AblationPoint point;
  point.variant = variant;
  point.platform = platform;
  point.prompt_tokens = 10;
  point.tpot_ms = tpot_ms;
  if (tpot_ms == 0) point.missing = "does not fit: hbm";
  return point;
}

// One request: a prefill of 100 ns, then decode steps in which the device's lane works for `busy` of
// `long_ns`.
Timeline timeline(const Machine& machine, TimeNs long_ns, TimeNs busy, int steps) {
  Timeline timeline;
  TimeNs now = 0;
  for (int i = 0; i <= steps; ++i) {
    StepEvent step;
    step.decision.rows.push_back({RequestId(0), i == 0 ? 0 : 9 + i, i == 0 ? 10 : 1});
    step.start = now;
    now += i == 0 ? 100 : long_ns;
    step.end = now;
    OpEvent op;
    op.lane = machine.lane_of(Role::device);
    op.start = step.start;
    op.end = i == 0 ? step.end : step.start + busy;
    step.ops.push_back(op);
    step.channel_bytes.assign(machine.channels().size(), i == 0 ? 1'000'000 : 40 + 2 * i);
    timeline.steps.push_back(step);
  }
  return timeline;
}

TEST(Ablation, Speedup_isAgainstTheFirstVariantAtTheSamePlace) {
  AblationReport report;
  report.points = {point("nothing", "a", 12), point("all", "a", 3),     point("nothing", "b", 0),
                   point("all", "b", 5),      point("nothing", "c", 8), point("all", "c", 0)};
  compare_with_first(report);
  EXPECT_DOUBLE_EQ(report.points[0].speedup, 1);
  EXPECT_DOUBLE_EQ(report.points[1].speedup, 4);
  EXPECT_DOUBLE_EQ(report.points[3].speedup, 0) << "nothing to compare with";
  EXPECT_DOUBLE_EQ(report.points[5].speedup, 0) << "no figure of its own";
}

TEST(Ablation, Point_isTheMedianRunsDecode) {
  const test::TinyMachine tiny;
  const Machine& machine = tiny.machine;
  const AblationPoint point = ablation_point(
      machine, {timeline(machine, 5'000'000, 1'000'000, 3), timeline(machine, 4'000'000, 3'000'000, 3),
                timeline(machine, 8'000'000, 1'000'000, 3)});
  EXPECT_DOUBLE_EQ(point.tpot_ms, 5);
  EXPECT_DOUBLE_EQ(point.tpot_spread, 4.0 / 5);
  EXPECT_DOUBLE_EQ(point.device_share, 0.2) << "the prefill is not decode";
  ASSERT_FALSE(point.loads.empty());
  EXPECT_EQ(point.loads[0].bytes_per_step, 44) << "42, 44 and 46; not the prefill's";
}

TEST(Ablation, Text_saysWhatIsMissing) {
  AblationReport report;
  report.title = "t";
  report.points = {point("nothing", "a", 12), point("all", "a", 0)};
  compare_with_first(report);
  const std::string text = to_text(report);
  EXPECT_NE(text.find("12.000"), std::string::npos) << text;
  EXPECT_NE(text.find("does not fit: hbm"), std::string::npos) << text;
  EXPECT_NE(text.find("unknown"), std::string::npos) << text;
}

}  // namespace
}  // namespace hybridgen
