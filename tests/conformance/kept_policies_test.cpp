// The policies that keep a budget of tokens, on the real executor with tiny models: a budget of everything is
// full attention, a small one is never exceeded, requests do not disturb each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

struct Kept {
  std::string name;
  PolicyChoice choice;
  bool bounded = true;  // also what is generated
};

void PrintTo(const Kept& each, std::ostream* out) {
  *out << each.name;
}

// The budget is the test's.
std::vector<Kept> every_rule() {
  const auto snapkv = [](std::int64_t generated, std::int64_t pooling) {
    return PolicyChoice{"snapkv",
                        {{"observation_tokens", 5}, {"generated", generated}, {"pooling", pooling}},
                        {},
                        KvDtype::f32};
  };
  return {{"streaming_llm", {"streaming-llm", {}, {}, KvDtype::f32}},
          {"streaming_llm_text_positions", {"streaming-llm", {{"reindex", 1}}, {}, KvDtype::f32}},
          {"h2o", {"h2o", {}, {}, KvDtype::f32}},
          {"snapkv_keep", snapkv(0, 0), false},
          {"snapkv_mean", snapkv(0, 1), false},
          {"snapkv_bound", snapkv(1, 0)},
          {"snapkv_slide", snapkv(2, 0)}};
}

class KeptPolicy : public ::testing::TestWithParam<Kept> {
 protected:
  static constexpr int kPrompt = 60;
  static constexpr int kNew = 24;

  static PolicyChoice with(std::int64_t budget) {
    PolicyChoice choice = GetParam().choice;
    choice.params["budget_tokens"] = budget;
    return choice;
  }
  // Request i of any run has the same prompt and the same forced tokens.
  HostRun run(const PolicyChoice& choice, const std::vector<RequestShape>& shapes,
              const std::vector<std::uint32_t>& which, int batch) const {
    TokenFeed feed;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      feed.prompts.push_back(prompt_of(static_cast<int>(shapes[i].prompt_tokens), 200, 11 + which[i]));
      feed.forced.push_back(prompt_of(static_cast<int>(shapes[i].new_tokens), 200, 99 + which[i]));
    }
    return run_on_host(machine_, model_, choice, {shapes, batch}, std::move(feed));
  }
  HostRun run(const PolicyChoice& choice) const { return run(choice, {{kPrompt, kNew}}, {0}, 1); }
  HostRun full() const { return run({"full-gpu", {}, {}, KvDtype::f32}); }

  Machine machine_ = host_machine(2);
  std::shared_ptr<const HostModel> model_ = tiny_model();
};

TEST_P(KeptPolicy, BudgetOfEverything_logitsEqualFullGpuAtEveryStep) {
  const HostRun all = run(with(kPrompt + kNew));
  EXPECT_LT(largest_difference(full().logits[0], all.logits[0]), 1e-5F);
  for (const StepEvent& step : all.timeline.steps) EXPECT_EQ(step.decision.rows[0].drop_tokens, 0);
}

TEST_P(KeptPolicy, SmallBudget_differsFromFullGpuButByTheSameOps) {
  const HostRun all = run(with(1000));
  const HostRun few = run(with(12));
  LogitsByPosition first_steps = few.logits[0];
  EXPECT_EQ(largest_difference({*first_steps.begin()}, {*full().logits[0].begin()}), 0.0F) << "dense prefill";
  EXPECT_GT(largest_difference(full().logits[0], few.logits[0]), 1e-3F);
  ASSERT_EQ(all.timeline.steps.size(), few.timeline.steps.size());
  for (std::size_t s = 0; s < all.timeline.steps.size(); ++s) {
    EXPECT_EQ(all.timeline.steps[s].structure, few.timeline.steps[s].structure) << "step " << s;
  }
  std::set<OpKind> kinds;
  for (const OpEvent& op : few.timeline.steps.back().ops) kinds.insert(op.kind);
  EXPECT_TRUE(kinds.contains(OpKind::evict_row) && kinds.contains(OpKind::attend_kept));
  EXPECT_FALSE(kinds.contains(OpKind::attend));
}

// At every event: what the driver counts, what the executor holds, and what the plan reserved.
TEST_P(KeptPolicy, AnyBudget_isNeverExceeded) {
  for (const std::int64_t budget : {6, 11, 60, 70}) {
    const PolicyChoice choice = with(budget);
    const WorkloadShape workload{1, kPrompt, kNew, false};
    Policy policy(composition_of(choice), {machine_, model_->shape, choice.kv_dtype, params_for(choice)},
                  workload);
    TokenFeed feed;
    feed.prompts = {prompt_of(kPrompt, 200, 11)};
    HostExecutor executor(machine_, model_, policy.memory_plan(), std::move(feed), kNew);
    Driver driver(machine_, model_->shape, workload, policy, executor);
    Tokens dropped = 0;
    while (driver.advance()) {
      const RequestDecision& row = driver.timeline().steps.back().decision.rows[0];
      const Tokens generated = row.first_position + row.query_tokens - kPrompt;
      const Tokens most = GetParam().bounded ? budget : budget + generated;
      dropped += row.drop_tokens;
      EXPECT_LE(row.device_tokens, most) << "budget " << budget << " step " << driver.timeline().steps.size();
      EXPECT_EQ(row.device_tokens + dropped, row.first_position + row.query_tokens);
      for (const KeptRows& kept : executor.buffers(SlotId(0)).kept) EXPECT_EQ(kept.used(), row.device_tokens);
      const RequestView& request = driver.requests()[0];
      for (const KvHalf half : {KvHalf::k, KvHalf::v}) {
        EXPECT_EQ(driver.residency().tokens(request.id, half), request.finished ? 0 : row.device_tokens);
      }
    }
    const Tokens most = GetParam().bounded ? budget : budget + kNew - 1;
    EXPECT_EQ(policy.memory_plan().segment_tokens, std::min<Tokens>(most, kPrompt + kNew - 1));
  }
}

// Every row at most once per KV head, and the new token among them.
TEST_P(KeptPolicy, Rows_areDistinctAndHaveTheNewToken) {
  const PolicyChoice choice = with(9);
  const WorkloadShape workload{1, kPrompt, kNew, false};
  Policy policy(composition_of(choice), {machine_, model_->shape, choice.kv_dtype, params_for(choice)},
                workload);
  TokenFeed feed;
  feed.prompts = {prompt_of(kPrompt, 200, 11)};
  HostExecutor executor(machine_, model_, policy.memory_plan(), std::move(feed), kNew);
  Driver driver(machine_, model_->shape, workload, policy, executor);
  while (driver.advance()) {
    const RequestDecision& row = driver.timeline().steps.back().decision.rows[0];
    for (const KeptRows& kept : executor.buffers(SlotId(0)).kept) {
      for (int head = 0; head < model_->shape.kv_heads; ++head) {
        const auto positions = kept.positions(head);
        const std::set<std::int32_t> distinct(positions.begin(), positions.end());
        EXPECT_EQ(distinct.size(), positions.size());
        EXPECT_EQ(*distinct.rbegin(), row.first_position + row.query_tokens - 1);
        EXPECT_GE(*distinct.begin(), 0);
      }
    }
  }
}

// Six requests through two slots: each has the logits of its own single run, so a slot starts afresh.
TEST_P(KeptPolicy, UnequalRequestsThroughTwoSlots_logitsOfTheirSingleRuns) {
  const std::vector<RequestShape> shapes = {{40, 12}, {7, 9}, {33, 3}, {1, 14}, {52, 6}, {20, 16}};
  const HostRun together = run(with(8), shapes, {0, 1, 2, 3, 4, 5}, 2);
  for (std::uint32_t i = 0; i < shapes.size(); ++i) {
    const HostRun alone = run(with(8), {shapes[i]}, {i}, 1);
    EXPECT_LT(largest_difference(together.logits[i], alone.logits[0]), 1e-4F) << "request " << i;
  }
}

TEST_P(KeptPolicy, Threads_sameLogits) {
  const HostRun two = run(with(10));
  machine_ = host_machine(1);
  EXPECT_LT(largest_difference(two.logits[0], run(with(10)).logits[0]), 1e-4F);
}

INSTANTIATE_TEST_SUITE_P(Rules, KeptPolicy, ::testing::ValuesIn(every_rule()),
                         [](const auto& each) { return each.param.name; });

// ---- positions inside the cache ----

// With one layer, a row is its token and its position alone: what the cache holds after each step is a prompt
// of its own, whose last logits the step must give.
class Reindexed : public ::testing::Test {
 protected:
  static constexpr int kPrompt = 30;
  static constexpr int kNew = 8;
  static constexpr Tokens kBudget = 10;
  static constexpr Tokens kSinks = 4;

  Reindexed() {
    ModelShape shape = tiny_shape();
    shape.layers = 1;
    model_ = model_of(shape);
  }
  float largest_difference_to_prompts_of_the_cache(std::int64_t reindex) const {
    const std::vector<std::int32_t> ids = prompt_of(kPrompt + kNew, 200, 3);
    TokenFeed feed;
    feed.prompts.emplace_back(ids.begin(), ids.begin() + kPrompt);
    feed.forced.emplace_back(ids.begin() + kPrompt, ids.end());
    const PolicyChoice choice{"streaming-llm",
                              {{"budget_tokens", kBudget}, {"sink_tokens", kSinks}, {"reindex", reindex}},
                              {},
                              KvDtype::f32};
    const HostRun kept = run_on_host(machine_, model_, choice, {1, kPrompt, kNew}, std::move(feed));
    float largest = 0;
    for (Tokens t = kPrompt; t < kPrompt + kNew - 1; ++t) {
      std::vector<std::int32_t> cache(ids.begin(), ids.begin() + kSinks);
      cache.insert(cache.end(), ids.begin() + t - (kBudget - kSinks) + 1, ids.begin() + t + 1);
      TokenFeed prompt;
      prompt.prompts = {cache};
      const HostRun dense = run_on_host(machine_, model_, {"full-gpu", {}, {}, KvDtype::f32}, {1, kBudget, 1},
                                        std::move(prompt));
      largest = std::max(
          largest, largest_difference({{0, kept.logits[0].at(t)}}, {{0, dense.logits[0].at(kBudget - 1)}}));
    }
    return largest;
  }

  const Machine machine_ = host_machine();
  std::shared_ptr<const HostModel> model_;
};

TEST_F(Reindexed, EveryStep_logitsOfAPromptOfTheKeptTokens) {
  EXPECT_LT(largest_difference_to_prompts_of_the_cache(0), 1e-5F);
  EXPECT_GT(largest_difference_to_prompts_of_the_cache(1), 1e-4F);
}

// ---- what is refused ----

std::string refusal(const PolicyChoice& choice, const ModelShape& model) {
  const Machine machine = host_machine(1, true);
  try {
    Policy(composition_of(choice), {machine, model, choice.kv_dtype, params_for(choice)}, {1, 20, 4});
  } catch (const BadInput& error) {
    return error.what();
  }
  return "";
}

TEST(KeptPolicies, PartsThatDoNotFit_refusedWithOneMessage) {
  const ModelShape llama = tiny_shape();
  EXPECT_EQ(
      refusal({"streaming-llm", {{"budget_tokens", 9}}, {{"select", "all"}}, KvDtype::f16}, llama),
      "attention budget drops tokens, and this select part does not say which stay; use select: sink-window, "
      "or attention: logit-parallel");
  EXPECT_EQ(
      refusal({"hybridgen", {{"device_kv_tokens", 9}}, {{"select", "heavy-hitter"}}, KvDtype::f16}, llama),
      "attention logit-parallel selects among host rows, and this select part says what the device keeps; "
      "use "
      "select: top-k, or attention: budget");
  EXPECT_EQ(
      refusal({"streaming-llm", {{"budget_tokens", 4}}, {}, KvDtype::f16}, llama),
      "select sink-window: sink_tokens 4 leave nothing of budget_tokens 4; write a larger budget or fewer "
      "sink_tokens");
  EXPECT_EQ(
      refusal({"snapkv", {{"budget_tokens", 32}}, {}, KvDtype::f16}, llama),
      "select observation-window: observation_tokens 32 leave nothing of budget_tokens 32; write a larger "
      "budget or fewer observation_tokens");
  EXPECT_EQ(refusal({"snapkv", {{"budget_tokens", 40}, {"pooling_kernel", 6}}, {}, KvDtype::f16}, llama),
            "select observation-window: pooling_kernel 6 has no middle; write an odd number");
}

TEST(KeptPolicies, LearnedPositions_cannotBeReindexed) {
  const ModelShape opt = tiny_shape(ModelFamily::opt);
  EXPECT_NE(
      refusal({"streaming-llm", {{"budget_tokens", 9}}, {}, KvDtype::f16}, opt).find("write reindex: no"),
      std::string::npos);
  EXPECT_EQ(refusal({"streaming-llm", {{"budget_tokens", 9}, {"reindex", 1}}, {}, KvDtype::f16}, opt), "");
}

}  // namespace
}  // namespace hybridgen::testing
