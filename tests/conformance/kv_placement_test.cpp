// Where host K and V lie, on the host executor and in simulation, with a CXL tier that is emulated by a
// throttle: same tokens from every placement, and per tier the bytes that the placement promises.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "core/residency/fits.hpp"
#include "sim/fluid/fluid_executor.hpp"
#include "sim/world/platform_durations.hpp"
#include "sim/world/recorded_outcomes.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

constexpr int kPrompt = 60, kNew = 8;
constexpr Tokens kDevice = 20;
constexpr std::size_t kCxlChannel = 3;
constexpr double kThrottled = 50e6;  // bytes per second: what the tier moves in a step takes milliseconds

// Bytes in one layer: K or V of a token, and of one head.
constexpr Bytes kRow = 2 * 16 * 2, kHeadRow = 16 * 2;
constexpr std::int64_t kQueryHeads = 6, kLayers = 3;
constexpr Tokens kMostHost = kPrompt + kNew - 1 - kDevice;
constexpr Bytes kArray = kRow * kMostHost;

PolicyChoice placed(const std::string& placement) {
  return {"hybridgen",
          {{"device_kv_tokens", kDevice}, {"topk_ratio", 200'000}},
          {{"placement", placement}},
          KvDtype::f16};
}

struct Both {
  HostRun real;
  Timeline simulated;
  MemoryPlan plan;
};

Both run(const Machine& machine, const std::string& placement) {
  const PolicyChoice choice = placed(placement);
  const WorkloadShape workload{1, kPrompt, kNew, false};
  const auto model = tiny_model();
  TokenFeed feed;
  feed.prompts = {prompt_of(kPrompt, model->shape.vocab, 5)};
  feed.forced = {prompt_of(kNew, model->shape.vocab, 77)};
  Both both;
  both.real = run_on_host(machine, model, choice, workload, std::move(feed));
  Policy policy(composition_of(choice), {machine, model->shape, choice.kv_dtype, params_for(choice)},
                workload);
  both.plan = policy.memory_plan();
  FluidExecutor executor(machine, std::make_unique<PlatformDurations>(machine),
                         std::make_unique<RecordedOutcomes>(both.real.timeline));
  both.simulated = Driver(machine, model->shape, workload, policy, executor).run();
  return both;
}

void expect_same_bytes(const Both& both) {
  EXPECT_EQ(both.real.timeline.tier_peak_bytes, both.simulated.tier_peak_bytes);
  ASSERT_EQ(both.real.timeline.steps.size(), both.simulated.steps.size());
  for (std::size_t s = 0; s < both.simulated.steps.size(); ++s) {
    EXPECT_EQ(both.real.timeline.steps[s].channel_bytes, both.simulated.steps[s].channel_bytes) << s;
  }
}

// A machine whose DRAM has room for just so many arrays, K or V of a layer, beside what the policy needs
// there.
Machine with_room_for(int arrays) {
  static const Bytes others = [] {
    const MemoryPlan plan = run(host_machine(1, true), "unified").plan;
    return plan.needed(plan.k_on_host.tier) - 2 * kLayers * kArray;
  }();
  return host_machine(1, true, others + arrays * kArray + kRow, kThrottled);
}

TEST(KvPlacement, EveryPlacement_sameLogitsBitByBit) {
  const Machine machine = host_machine(1, true);
  const HostRun unified = run(machine, "unified").real;
  for (const PartEntry& part : part_registry()) {
    if (std::string(part.slot()) != "placement") continue;
    EXPECT_EQ(run(machine, part.name).real.logits, unified.logits) << part.name;
  }
  for (const char* placement : {"unified", "tier-order", "semantic"}) {
    EXPECT_EQ(run(with_room_for(1), placement).real.logits, unified.logits) << placement << " that overflows";
  }
}

// Per step and layer whose K lies in CXL memory its host rows are scanned there, per layer whose V does the
// chosen rows gathered, and one token's row arrives in either.
struct Overflow {
  std::string placement;
  int arrays;    // that DRAM has room for
  int k_in_cxl;  // layers
  int v_in_cxl;
};
class KvOverflow : public ::testing::TestWithParam<Overflow> {};
INSTANTIATE_TEST_SUITE_P(Placements, KvOverflow,
                         ::testing::Values(Overflow{"unified", 6, 0, 0}, Overflow{"unified", 5, 1, 1},
                                           Overflow{"unified", 0, 3, 3}, Overflow{"tier-order", 6, 0, 0},
                                           Overflow{"tier-order", 5, 0, 1}, Overflow{"tier-order", 2, 2, 2},
                                           Overflow{"semantic", 3, 0, 3}, Overflow{"semantic", 1, 2, 3}),
                         [](const auto& each) {
                           std::string name = each.param.placement + std::to_string(each.param.arrays);
                           name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
                           return name;
                         });

TEST_P(KvOverflow, CxlHasTheBytesOfWhatDramHasNoRoomFor) {
  const auto& [placement, arrays, k_in_cxl, v_in_cxl] = GetParam();
  const Both both = run(with_room_for(arrays), placement);
  expect_same_bytes(both);
  EXPECT_EQ(both.plan.needed(TierId(2)), (k_in_cxl + v_in_cxl) * kArray);
  EXPECT_EQ(both.real.timeline.tier_peak_bytes[2], (k_in_cxl + v_in_cxl) * kArray);
  for (std::size_t s = 1; s < both.simulated.steps.size(); ++s) {
    const Tokens host = kPrompt + static_cast<Tokens>(s) - kDevice;
    const Bytes chosen = kQueryHeads * (host / 5) * kHeadRow;
    EXPECT_EQ(both.real.timeline.steps[s].channel_bytes[kCxlChannel],
              k_in_cxl * (host * kRow + kRow) + v_in_cxl * (chosen + kRow))
        << s;
  }
}

TEST(KvPlacement, KInCxl_theScanAndTheEvictedKAloneAreThere) {
  const Both both = run(host_machine(1, true, 8LL << 30, kThrottled), "k-in-cxl");
  expect_same_bytes(both);
  for (std::size_t s = 1; s < both.simulated.steps.size(); ++s) {
    const Tokens host = kPrompt + static_cast<Tokens>(s) - kDevice;
    EXPECT_EQ(both.real.timeline.steps[s].channel_bytes[kCxlChannel], kLayers * (host * kRow + kRow)) << s;
  }
}

// The emulated tier is held to its bandwidth: an op that scans K there takes as long as its bytes say.
TEST(KvPlacement, ThrottledTier_scanOfTheLayersThereAloneIsSlow) {
  const Both both = run(with_room_for(4), "unified");
  int slow = 0;
  for (const StepEvent& step : both.real.timeline.steps) {
    for (const OpEvent& op : step.ops) {
      if (op.kind != OpKind::host_logits || op.layer != 2) continue;
      EXPECT_GE(static_cast<double>(op.end - op.start), static_cast<double>(op.bytes) / kThrottled * 1e9);
      ++slow;
    }
  }
  EXPECT_EQ(slow, kNew - 1);
}

TEST(KvPlacement, NoRoomAnywhere_doesNotFitAndSaysWhichMemory) {
  const Machine machine = host_machine(1, false, 1000);
  const ModelShape shape = tiny_shape();
  for (const char* placement : {"unified", "tier-order"}) {
    const PolicyChoice choice = placed(placement);
    const Policy policy(composition_of(choice), {machine, shape, choice.kv_dtype, params_for(choice)},
                        {1, kPrompt, kNew, false});
    try {
      check_fits(machine, policy.memory_plan());
      FAIL() << placement << " fits";
    } catch (const DoesNotFit& error) {
      EXPECT_NE(std::string(error.what()).find("dram: needs"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace hybridgen::testing
