// On the shipped servers, in simulation: one layer ahead hides the host's work wherever the host is the
// faster side, and without it most of that work is waited for.
#include <gtest/gtest.h>

#include "core/driver/driver.hpp"
#include "core/driver/overlap.hpp"
#include "formats/model.hpp"
#include "formats/platform.hpp"
#include "sim/fluid/fluid_executor.hpp"
#include "sim/world/platform_durations.hpp"
#include "sim/world/seeded_outcomes.hpp"

namespace hybridgen::testing {
namespace {

struct Outcome {
  double hidden_share;
  double host_ms, step_ms;  // per decode step
};

class OnServer : public ::testing::TestWithParam<const char*> {
 protected:
  // 16 K tokens, half of them on the host: its scan takes less than a layer's weights.
  Outcome simulate(const std::string& lookahead) const {
    Composition composition = find_preset("hybridgen")->composition;
    composition.lookahead = lookahead;
    Params params;
    for (const ParamSpec& spec : params_of(composition)) params.set(spec.name, spec.otherwise.value_or(0));
    params.set("device_kv_tokens", 8192);
    params.set("topk_ratio", 20'000);
    if (lookahead == "use") params.set("lookahead_correct", 1);
    const WorkloadShape workload{1, 16384, 6, false};
    Policy policy(composition, {platform_.machine, model_, KvDtype::f16, params}, workload);
    FluidExecutor executor(platform_.machine, std::make_unique<PlatformDurations>(platform_.machine),
                           std::make_unique<SeededOutcomes>(1));
    Driver driver(platform_.machine, model_, workload, policy, executor);
    const Timeline& timeline = driver.run();
    const HostOverlap overlap = host_overlap(timeline);
    const StepEvent& last = timeline.steps.back();
    return {overlap.hidden_share(), static_cast<double>(overlap.host_ns) / 5e6,
            static_cast<double>(last.end - last.start) / 1e6};
  }

  const Platform platform_ = load_platform(find_platform(GetParam()));
  const ModelShape model_ = find_model("llama-3.1-8b").shape;
};

TEST_P(OnServer, HostIsFaster_eightTenthsOfItsWorkAreHidden) {
  const Outcome off = simulate("off");
  for (const char* mode : {"choose", "use"}) {
    const Outcome ahead = simulate(mode);
    std::printf("%s %s: hidden %.3f (off %.3f), host %.3f ms of a step of %.3f ms (off %.3f ms)\n",
                GetParam(), mode, ahead.hidden_share, off.hidden_share, ahead.host_ms, ahead.step_ms,
                off.step_ms);
    EXPECT_LT(ahead.host_ms, ahead.step_ms) << "the host is to be the faster side here";
    EXPECT_GE(ahead.hidden_share, 0.8) << mode;
    EXPECT_LT(off.hidden_share, 0.5);
    EXPECT_LT(ahead.step_ms, off.step_ms) << mode;
  }
}

INSTANTIATE_TEST_SUITE_P(Servers, OnServer, ::testing::Values("a100-40", "h100-80", "rtx-5090"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace hybridgen::testing
