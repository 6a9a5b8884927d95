// Schedulers in the simulated world: three servers, the shape of Llama-3.1-8B, 32 thousand tokens and more.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

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

const std::vector<std::string> kServers = {"a100-40", "h100-80", "rtx-5090"};
// The longest leaves room for the new tokens in the model's 131,072.
const std::vector<Tokens> kPrompts = {32'768, 65'536, 131'072 - 256};

std::string word(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class PublishedRule : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Servers, PublishedRule, testing::ValuesIn(kServers),
                         [](const auto& each) { return word(each.param); });

// The cycle is printed; `hybridgen simulate` says the same behind a run.
TEST_P(PublishedRule, AnyContext_goesRoundWithinItsBounds) {
  for (const Tokens prompt : kPrompts) {
    Scenario scenario;
    scenario.platform = GetParam();
    scenario.prompt = prompt;
    scenario.params = {{"feedback.dead_band_permille", 0}};
    const Timeline timeline = run(scenario);
    const Cycle cycle = find_cycle(series_of(timeline, 4).rows, 0.1);
    std::printf("%s, %lld tokens: period %.3g decisions, amplitude %.0f %%\n", scenario.platform.c_str(),
                static_cast<long long>(prompt), cycle.mean_period, 100 * cycle.amplitude);
    EXPECT_FALSE(cycle.steady) << prompt;
    EXPECT_GE(cycle.period, 4U) << "1.2 to the fourth power is what a halving takes back";
    EXPECT_LE(cycle.period, 6U) << prompt;
    EXPECT_GT(cycle.amplitude, 0.15) << prompt;
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
}

class Steady : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  Scenario scenario() const {
    Scenario scenario;
    scenario.platform = std::get<0>(GetParam());
    scenario.split = std::get<1>(GetParam());
    return scenario;
  }
};
INSTANTIATE_TEST_SUITE_P(
    Splits, Steady, testing::Combine(testing::ValuesIn(kServers), testing::Values("feedback", "model-based")),
    [](const auto& each) { return word(std::get<0>(each.param) + "_" + std::get<1>(each.param)); });

TEST_P(Steady, RowsAndStepTime_withinTwoPercent) {
  for (const Tokens prompt : kPrompts) {
    Scenario steady = scenario();
    steady.prompt = prompt;
    const Series series = series_of(run(steady), 4);
    EXPECT_TRUE(find_cycle(series.rows, 0.01).steady) << prompt;
    EXPECT_TRUE(find_cycle(series.step_ms, 0.01).steady) << prompt;
  }
}

// Host time over device time, as they were in a decode step, of the layer's work that the schedulers compare.
double host_over_device(const StepEvent& step) {
  double host = 0, device = 0;
  for (const OpEvent& op : step.ops) {
    const auto took = static_cast<double>(op.end - op.start);
    switch (op.kind) {
      case OpKind::host_logits:
      case OpKind::select:
      case OpKind::pack_rows:
      case OpKind::send_scores:
      case OpKind::send_rows:
        host += took;
        break;
      case OpKind::device_logits:
      case OpKind::joint_attend:
      case OpKind::norm_qkv:
      case OpKind::project_out:
      case OpKind::ffn:
        device += took;
        break;
      default:
        break;
    }
  }
  return host / device;
}

// Bytes of one layer: K scanned, and V rows read, written and sent. A slower link takes from the rows, and
// from the scan where these are at their floor.
double host_work(const StepEvent& step) {
  constexpr double kKRow = 8 * 128 * 2, kVRows = 32 * 128 * 2;
  const RequestDecision& row = step.decision.rows.front();
  return static_cast<double>(row.scan_tokens) * kKRow + static_cast<double>(row.rows_per_head) * 3 * kVRows;
}

// Twenty decisions after the link changed, and at every later one: at rest, and host and device in balance,
// as they were and not as the scheduler believes. One percent is left for the records that a decision is made
// by being of the step before.
TEST_P(Steady, LinkFourTimesSlower_recoversWithinTwentyDecisions) {
  constexpr std::int64_t kInterval = 4, kChange = 161, kBack = 281, kNew = 401;  // step 0 is the prefill
  constexpr double kDeadBand = 0.1;
  for (const Tokens prompt : {Tokens{32'768}, Tokens{65'536}, Tokens{131'072 - kNew}}) {
    Scenario slowed = scenario();
    slowed.prompt = prompt;
    slowed.new_tokens = kNew;
    slowed.slow_from = kChange;
    slowed.slow_to = kBack;
    const Timeline timeline = run(slowed);
    const auto rest = [&](std::int64_t from, std::int64_t to, double& work) {
      const StepEvent& last = timeline.steps.at(static_cast<std::size_t>(to - 1));
      const auto rows = static_cast<double>(last.decision.rows.front().rows_per_head);
      const auto took = static_cast<double>(last.end - last.start);
      for (std::int64_t s = from; s < to; ++s) {
        const StepEvent& step = timeline.steps.at(static_cast<std::size_t>(s));
        ASSERT_NEAR(static_cast<double>(step.decision.rows.front().rows_per_head), rows, 0.02 * rows) << s;
        ASSERT_NEAR(static_cast<double>(step.end - step.start), took, 0.02 * took) << s;
        ASSERT_NEAR(host_over_device(step), 1, kDeadBand + 0.01) << s;
      }
      work = host_work(last);
    };
    SCOPED_TRACE(std::to_string(prompt) + " tokens");
    double before = 0, slow = 0, after = 0;
    ASSERT_NO_FATAL_FAILURE(rest(kChange - 20 * kInterval, kChange, before));
    ASSERT_NO_FATAL_FAILURE(rest(kChange + 20 * kInterval, kBack, slow));
    ASSERT_NO_FATAL_FAILURE(rest(kBack + 20 * kInterval, kNew, after));
    EXPECT_LT(slow, 0.9 * before) << "less work over the slow link";
    EXPECT_GT(after, 1.1 * slow) << "and more again over the fast one";
  }
}

TEST_P(Steady, NextRequest_startsFresh) {
  Scenario two = scenario();
  two.requests = 2;
  const Timeline timeline = run(two);
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

// The rows of a group go up once, and how many that is shows only in the outcomes: priced per query head they
// would leave the host idle.
TEST(ModelBased, RowsByKvGroup_restInBalance) {
  for (const std::string& server : kServers) {
    for (const int by : {1, 2}) {
      Scenario scenario;
      scenario.platform = server;
      scenario.split = "model-based";
      scenario.params = {{"select_by", by}};
      const Timeline timeline = run(scenario);
      double sum = 0;
      for (std::size_t s = 101; s < timeline.steps.size(); ++s) sum += host_over_device(timeline.steps[s]);
      EXPECT_NEAR(sum / 100, 1, 0.11) << server << ", select_by " << by;
    }
  }
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
