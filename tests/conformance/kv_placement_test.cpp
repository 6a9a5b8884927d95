// Where host K and V lie, on the host executor and in simulation, with a CXL tier that is emulated by a
// throttle: same tokens from every placement, and per tier the bytes that the placement promises.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

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

// A machine whose DRAM has room for K and V of just so many layers, beside what the policy needs there.
Machine with_room_for(int layers) {
  const Both roomy = run(host_machine(1, true), "tier-order");
  Bytes others = roomy.plan.needed(roomy.plan.host_k_tier);
  others -= kLayers * 2 * kRow * kMostHost;
  return host_machine(1, true, others + layers * 2 * kRow * kMostHost + kRow, kThrottled);
}

TEST(KvPlacement, EveryPlacement_sameLogitsBitByBit) {
  const Machine machine = host_machine(1, true);
  const HostRun unified = run(machine, "unified").real;
  for (const PartEntry& part : part_registry()) {
    if (std::string(part.slot()) != "placement") continue;
    EXPECT_EQ(run(machine, part.name).real.logits, unified.logits) << part.name;
  }
  EXPECT_EQ(run(with_room_for(1), "tier-order").real.logits, unified.logits);
}

// Per step and overflowing layer: K of the host segment is scanned, V of the chosen rows gathered, and one
// token's K and V arrive.
TEST(KvPlacement, TierOrder_cxlHasTheBytesOfTheLayersThatDramHasNoRoomFor) {
  for (const int fit : {0, 1, 2, 3}) {
    SCOPED_TRACE(std::to_string(fit) + " layers in DRAM");
    const Both both = run(with_room_for(fit), "tier-order");
    expect_same_bytes(both);
    const Bytes beyond = kLayers - fit;
    EXPECT_EQ(both.plan.needed(TierId(2)), beyond * 2 * kRow * kMostHost);
    EXPECT_EQ(both.real.timeline.tier_peak_bytes[2], beyond * 2 * kRow * kMostHost);
    for (std::size_t s = 1; s < both.simulated.steps.size(); ++s) {
      const Tokens host = kPrompt + static_cast<Tokens>(s) - kDevice;
      const Bytes chosen = kQueryHeads * (host / 5) * kHeadRow;
      EXPECT_EQ(both.real.timeline.steps[s].channel_bytes[kCxlChannel],
                beyond * (host * kRow + chosen + 2 * kRow))
          << s;
    }
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
  const Both both = run(with_room_for(2), "tier-order");
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

TEST(KvPlacement, TierOrderWithoutRoomAnywhere_doesNotFitAndSaysWhichMemory) {
  const Machine machine = host_machine(1, false, 1000);
  const ModelShape shape = tiny_shape();
  const PolicyChoice choice = placed("tier-order");
  const Policy policy(composition_of(choice), {machine, shape, choice.kv_dtype, params_for(choice)},
                      {1, kPrompt, kNew, false});
  try {
    check_fits(machine, policy.memory_plan());
    FAIL() << "it fits";
  } catch (const DoesNotFit& error) {
    EXPECT_NE(std::string(error.what()).find("dram: needs"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace hybridgen::testing
