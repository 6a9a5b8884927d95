// Requests of unequal lengths in flight together, on SmolLM2: each gets the tokens of its own single run, one
// that ends early makes room for one that waits, and the simulated world moves the same bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "cli/tokenizer.hpp"
#include "core/base/error.hpp"
#include "core/driver/request_metrics.hpp"
#include "sim/fluid/fluid_executor.hpp"
#include "sim/simgrid/simgrid_executor.hpp"
#include "sim/world/platform_durations.hpp"
#include "sim/world/recorded_outcomes.hpp"
#include "tests/conformance/real_model.hpp"

namespace hybridgen::testing {
namespace {

constexpr int kSlots = 8;
constexpr Tokens kNew = 8;
constexpr Tokens kEarly = 3;        // new tokens of the request that ends first
constexpr std::size_t kEnding = 4;  // which one
constexpr std::size_t kWaiting = 8;

struct Case {
  std::string name;
  PolicyChoice choice;
  std::vector<Tokens> prompts;  // eight that start, and one that waits
};

// Named in ctest's list.
void PrintTo(const Case& each, std::ostream* out) {
  *out << each.name;
}

// Two implementations of a product, of one token and of many, sum in different orders; fp32 KV keeps what
// that makes of the logits a hundred times smaller than the distance of any two likeliest tokens here.
constexpr float kLogitTolerance = 1e-3F;

// The whole range costs half a minute of prefill, so one policy alone has it.
const std::vector<Tokens> kLong = {100, 4000, 250, 2000, 500, 1500, 750, 1000, 400};
const std::vector<Tokens> kShort = {100, 640, 40, 330, 90, 260, 150, 420, 70};

std::vector<Case> cases() {
  return {{"full_gpu", {"full-gpu", {}, {}, KvDtype::f32}, kShort},
          {"flexgen", {"flexgen", {}, {}, KvDtype::f32}, kShort},
          {"hybridgen",
           {"hybridgen", {{"device_kv_tokens", 128}, {"topk_ratio", 100'000}}, {}, KvDtype::f32},
           kLong},
          {"hybridgen_threshold",
           {"hybridgen", {{"device_kv_tokens", 64}}, {{"select", "threshold"}}, KvDtype::f32},
           kShort},
          {"h2o", {"h2o", {{"budget_tokens", 64}}, {}, KvDtype::f32}, kShort}};
}

class UnequalBatch : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (const std::string why = missing_model(); !why.empty()) GTEST_SKIP() << why;
    try {
      ids_ = cli::read_prompt(kText, find_model(model_folder()), 0);
    } catch (const NotAvailable& why) {
      GTEST_SKIP() << why.what();
    }
    model_ = cli::load_host_model(find_model(model_folder()));
    const std::vector<Tokens>& prompts = GetParam().prompts;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      shapes_.push_back({prompts[i], i == kEnding ? kEarly : kNew});
      const auto first = ids_.begin() + static_cast<std::ptrdiff_t>(i) * 400;
      prompts_.emplace_back(first, first + prompts[i]);
    }
  }

  HostRun run(const std::vector<std::size_t>& which, int batch) const {
    std::vector<RequestShape> shapes;
    TokenFeed feed;
    for (const std::size_t i : which) {
      shapes.push_back(shapes_[i]);
      feed.prompts.push_back(prompts_[i]);
    }
    return run_on_host(machine_, model_, GetParam().choice, {shapes, batch}, std::move(feed));
  }

  using Logits = std::map<Tokens, std::vector<float>>;  // by position
  static float largest_difference(const Logits& a, const Logits& b) {
    EXPECT_EQ(a.size(), b.size());
    float largest = 0;
    for (const auto& [position, logits] : a) {
      for (std::size_t i = 0; i < logits.size(); ++i)
        largest = std::max(largest, std::abs(logits[i] - b.at(position)[i]));
    }
    return largest;
  }

  template <class SomeExecutor>
  void expect_same_bytes(const Timeline& real) const {
    const PolicyChoice& choice = GetParam().choice;
    const WorkloadShape workload{shapes_, kSlots};
    Policy policy(composition_of(choice), {machine_, model_->shape, choice.kv_dtype, params_for(choice)},
                  workload);
    SomeExecutor executor(machine_, std::make_unique<PlatformDurations>(machine_),
                          std::make_unique<RecordedOutcomes>(real));
    Driver driver(machine_, model_->shape, workload, policy, executor);
    const Timeline& simulated = driver.run();
    EXPECT_EQ(real.decision_hash, simulated.decision_hash);
    EXPECT_EQ(real.tier_peak_bytes, simulated.tier_peak_bytes);
    ASSERT_EQ(real.steps.size(), simulated.steps.size());
    for (std::size_t s = 0; s < real.steps.size(); ++s)
      EXPECT_EQ(real.steps[s].channel_bytes, simulated.steps[s].channel_bytes) << "step " << s;
  }

  const Machine machine_ = host_machine();
  std::shared_ptr<const HostModel> model_;
  std::vector<std::int32_t> ids_;
  std::vector<RequestShape> shapes_;
  std::vector<std::vector<std::int32_t>> prompts_;
};

TEST_P(UnequalBatch, NineRequestsThroughEightSlots_tokensOfTheirSingleRunsAndSameBytesInBothWorlds) {
  const HostRun together = run({0, 1, 2, 3, 4, 5, 6, 7, kWaiting}, kSlots);
  for (std::size_t i = 0; i < shapes_.size(); ++i) {
    const HostRun alone = run({i}, 1);
    ASSERT_EQ(alone.tokens[0].size(),
              static_cast<std::size_t>(shapes_[i].prompt_tokens + shapes_[i].new_tokens));
    EXPECT_EQ(together.tokens[i], alone.tokens[0]) << "request " << i;
    EXPECT_LE(largest_difference(together.logits[i], alone.logits[0]), kLogitTolerance) << "request " << i;
  }
  const auto requests = request_metrics({shapes_, kSlots}, together.timeline);
  EXPECT_EQ(requests[kWaiting].slot, requests[kEnding].slot) << "the room of the one that ended first";
  EXPECT_GT(requests[kWaiting].ttft_ms, requests[kEnding].ttft_ms);
  expect_same_bytes<FluidExecutor>(together.timeline);
  expect_same_bytes<SimGridExecutor>(together.timeline);
}

INSTANTIATE_TEST_SUITE_P(Policies, UnequalBatch, ::testing::ValuesIn(cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace hybridgen::testing
