// Schedulers in the simulated world: an H100 server, the shape of Llama-3.1-8B, 32 thousand tokens and more.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/driver/driver.hpp"
#include "formats/experiment.hpp"
#include "formats/model.hpp"
#include "formats/platform.hpp"
#include "sim/fluid/fluid_executor.hpp"
#include "sim/world/platform_durations.hpp"
#include "sim/world/seeded_outcomes.hpp"
#include "study/cycle.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen {
namespace {

// The platform's durations; copies to the device slow down by `factor` between two steps.
class SlowLink final : public DurationModel {
 public:
  SlowLink(const Machine& machine, std::int64_t from, std::int64_t to, double factor)
      : inner_(machine), from_(from), to_(to), factor_(factor) {}
  OpPlan plan(const Step& step, const Op& op, std::span<const std::int64_t> counts) override {
    OpPlan plan = inner_.plan(step, op, counts);
    if (op.role != Role::h2d || step.id.value < from_ || step.id.value >= to_) return plan;
    plan.fixed_ns *= factor_;
    for (Flow& flow : plan.flows) flow.amount *= factor_;
    return plan;
  }
  double step_gap_ns(const Step& step) override { return inner_.step_gap_ns(step); }

 private:
  PlatformDurations inner_;
  std::int64_t from_, to_;
  double factor_;
};

struct Scenario {
  std::string platform = "h100-80";
  Tokens prompt = 32'768;
  Tokens new_tokens = 201;
  int requests = 1;
  int batch = 1;
  std::string split = "feedback";
  std::map<std::string, std::int64_t> params;
  std::int64_t slow_from = 0, slow_to = 0;
};

Timeline run(const Scenario& scenario) {
  const Platform platform = load_platform(source_path("platform-models/" + scenario.platform + ".yaml"));
  const ModelShape model = find_model(source_path("configs/models/llama-3.1-8b.yaml")).shape;
  Composition composition = find_preset("hybridgen")->composition;
  composition.split = scenario.split;
  Params params;
  for (const ParamSpec& spec : params_of(composition)) params.set(spec.name, spec.otherwise.value_or(0));
  params.set("device_kv_tokens", 1024);
  params.set("topk_ratio", 50'000);
  for (const auto& [name, value] : scenario.params) params.set(name, value);
  const std::vector<RequestShape> each(static_cast<std::size_t>(scenario.requests),
                                       {scenario.prompt, scenario.new_tokens});
  const WorkloadShape workload(each, scenario.batch);
  Policy policy(composition, {platform.machine, model, KvDtype::f16, params}, workload);
  auto durations = std::make_unique<SlowLink>(platform.machine, scenario.slow_from, scenario.slow_to, 4.0);
  FluidExecutor executor(platform.machine, std::move(durations), std::make_unique<SeededOutcomes>(1));
  return Driver(platform.machine, model, workload, policy, executor).run();
}

struct Series {
  std::vector<double> rows, step_ms;
};

// Of the decode steps of request 0, at every decision.
Series series_of(const Timeline& timeline, std::int64_t interval) {
  Series series;
  std::int64_t decoded = 0;
  for (const StepEvent& step : timeline.steps) {
    if (step.decision.rows.front().prefill()) continue;
    if (decoded++ % interval != 0) continue;
    series.rows.push_back(static_cast<double>(step.decision.rows.front().rows_per_head));
    series.step_ms.push_back(static_cast<double>(step.end - step.start) * 1e-6);
  }
  return series;
}

TEST(Feedback, PublishedRule_goesRoundWithinItsBounds) {
  Scenario scenario;
  scenario.params = {{"feedback.dead_band_permille", 0}};
  const Timeline timeline = run(scenario);
  const Cycle cycle = find_cycle(series_of(timeline, 4).rows, 0.1);
  EXPECT_FALSE(cycle.steady);
  EXPECT_GT(cycle.amplitude, 0.15);
  int notes = 0;
  for (const StepEvent& step : timeline.steps) {
    for (const SplitNote& note : step.decision.notes) {
      ++notes;
      EXPECT_GE(note.ratio, 10'000);
      EXPECT_LE(note.ratio, 500'000);
      EXPECT_TRUE(note.scan_cap == 0 || note.scan_cap >= 32) << note.scan_cap;
      EXPECT_NE(note.move, SplitMove::keep) << "without a dead band every decision moves";
    }
  }
  EXPECT_EQ(notes, 49);  // 200 decode steps, one decision in four, none before the first
}

class Steady : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Splits, Steady, testing::Values("feedback", "model-based"), [](const auto& split) {
  return split.param == "feedback" ? "feedback" : "model_based";
});

TEST_P(Steady, RowsAndStepTime_withinTwoPercent) {
  for (const Tokens prompt : {32'768, 65'536, 131'072 - 256}) {
    Scenario scenario;
    scenario.split = GetParam();
    scenario.prompt = prompt;
    const Series series = series_of(run(scenario), 4);
    EXPECT_TRUE(find_cycle(series.rows, 0.01).steady) << prompt;
    EXPECT_TRUE(find_cycle(series.step_ms, 0.01).steady) << prompt;
  }
}

TEST_P(Steady, LinkFourTimesSlower_recoversWithinTwentyDecisions) {
  Scenario scenario;
  scenario.split = GetParam();
  scenario.new_tokens = 401;
  scenario.slow_from = 161;  // step 0 is the prefill
  scenario.slow_to = 281;
  const Series series = series_of(run(scenario), 4);
  const auto at = [&](std::size_t step) { return series.rows.at(step / 4); };
  EXPECT_NEAR(at(156), at(120), 0.02 * at(120)) << "at rest before";
  EXPECT_LT(at(240), 0.9 * at(156)) << "fewer rows over the slow link";
  EXPECT_NEAR(at(276), at(240), 0.02 * at(240)) << "at rest after twenty decisions";
  EXPECT_NEAR(at(396), at(360), 0.02 * at(360)) << "and again when the link is back";
  EXPECT_GT(at(396), 1.1 * at(276)) << "with more rows";
}

TEST_P(Steady, NextRequest_startsFresh) {
  Scenario scenario;
  scenario.split = GetParam();
  scenario.requests = 2;
  const Timeline timeline = run(scenario);
  std::vector<std::int64_t> first_rows(2, -1), last_rows(2, -1);
  for (const StepEvent& step : timeline.steps) {
    const RequestDecision& row = step.decision.rows.front();
    if (row.prefill()) continue;
    if (first_rows[row.request.index()] < 0) first_rows[row.request.index()] = row.rows_per_head;
    last_rows[row.request.index()] = row.rows_per_head;
  }
  EXPECT_EQ(first_rows[0], first_rows[1]);
  EXPECT_NE(last_rows[0], first_rows[0]) << "or the test shows nothing";
}

TEST(ModelBased, DeviceSegment_neverBelowItsFloorNorAboveItsMost) {
  Scenario scenario;
  scenario.split = "model-based";
  scenario.prompt = 2'048;
  scenario.params = {{"feedback.device_least", 100}};
  for (const StepEvent& step : run(scenario).steps) {
    EXPECT_LE(step.decision.rows.front().device_tokens, 1024);
    EXPECT_GE(step.decision.rows.front().device_tokens, 100);
  }
}

}  // namespace
}  // namespace hybridgen
