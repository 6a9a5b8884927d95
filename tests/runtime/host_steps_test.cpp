// What a decode step of the host executor takes of the system beside time: no memory, and few wake-ups of the
// driver. Every preset of the registry.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include "tests/support/counting_executor.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

constexpr int kPrompt = 40;
constexpr int kNew = 40;
constexpr std::size_t kWarmUp = 8;    // steps, the prefills among them
constexpr std::int64_t kWakeUps = 3;  // of the driver in a step, at most
constexpr std::int64_t kReport = 3;   // the vectors of a report, which the core keeps

struct Case {
  std::string preset;
  int threads = 1;
  int batch = 1;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const PresetEntry& preset : preset_registry()) {
    for (const int threads : {1, 2}) {
      for (const int batch : {1, 2}) all.push_back({preset.name, threads, batch});
    }
  }
  return all;
}

class HostSteps : public ::testing::TestWithParam<Case> {
 protected:
  std::vector<StepCounts> run() const {
    const Case& c = GetParam();
    PolicyChoice choice{c.preset, {}, {}, KvDtype::f16};
    for (const ParamSpec& spec : params_of(composition_of(choice))) {
      if (spec.otherwise) continue;
      // A budget is more than the prompt's last queries, and less than the prompt.
      const std::int64_t wanted = spec.kind == ParamKind::ratio  ? 150'000
                                  : spec.name == "budget_tokens" ? 36
                                                                 : 20;
      choice.params[spec.name] = std::clamp(wanted, spec.least, spec.most);
    }
    const Machine machine = host_machine(c.threads, true);
    const auto model = tiny_model();
    const WorkloadShape workload{c.batch, kPrompt, kNew, false};
    TokenFeed feed;
    for (int i = 0; i < c.batch; ++i) {
      feed.prompts.push_back(prompt_of(kPrompt, 200, 5 + static_cast<std::uint32_t>(i)));
    }
    Policy policy(composition_of(choice), {machine, model->shape, choice.kv_dtype, params_for(choice)},
                  workload);
    HostExecutor executor(machine, model, policy.memory_plan(), std::move(feed), kNew);
    CountingExecutor counting(executor);
    Driver driver(machine, model->shape, workload, policy, counting);
    driver.run();
    return counting.counts();
  }
};

TEST_P(HostSteps, DecodeAfterWarmUp_noAllocationInTheStep) {
  if (!allocations_are_counted()) GTEST_SKIP() << "the sanitizer has a malloc of its own";
  const std::vector<StepCounts> steps = run();
  ASSERT_GT(steps.size(), kWarmUp + 20);
  EXPECT_GT(steps.front().submitted, 0) << "the first step must take its memory, or nothing is counted";
  std::int64_t decided = 0;
  for (std::size_t i = kWarmUp; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i].submitted, 0) << "submit of step " << i;
    EXPECT_EQ(steps[i].lanes, 0) << "lanes in step " << i;
    EXPECT_LE(steps[i].reported, kReport) << "report of step " << i;
    decided += steps[i].decided;
  }
  // Not bounded: the core makes each step anew, between two steps. Told, so that nobody takes it for none.
  RecordProperty("allocations_between_steps",
                 std::to_string(decided / static_cast<std::int64_t>(steps.size() - kWarmUp)));
}

TEST_P(HostSteps, EveryStep_driverWakesAtMostThreeTimes) {
  for (const StepCounts& step : run()) EXPECT_LE(step.wakeups, kWakeUps);
}

std::string name_of_case(const ::testing::TestParamInfo<Case>& param) {
  const Case& c = param.param;
  std::string name = c.preset + "_threads" + std::to_string(c.threads) + "_batch" + std::to_string(c.batch);
  std::replace_if(
      name.begin(), name.end(), [](unsigned char letter) { return std::isalnum(letter) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(AllPresets, HostSteps, ::testing::ValuesIn(cases()), name_of_case);

}  // namespace
}  // namespace hybridgen::testing
