// The first tokens that the device keeps beside the newest ones: every token lies in exactly one segment, and
// the host's begins behind them.
#include <gtest/gtest.h>

#include "core/driver/driver.hpp"
#include "tests/support/scripted_executor.hpp"
#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {
namespace {

constexpr Tokens kSinks = 3;
constexpr Tokens kNewest = 4;

class Sinks : public testing::Test {
 protected:
  Policy policy_for(Tokens prompt, Tokens new_tokens) {
    return test::make_policy(tiny_.machine, model_, {1, prompt, new_tokens}, "hybridgen",
                             {{"device_kv_tokens", kNewest}, {"sink_tokens", kSinks}});
  }
  const Timeline& run(Policy& policy, Tokens prompt, Tokens new_tokens) {
    driver_ = std::make_unique<Driver>(tiny_.machine, model_, WorkloadShape{1, prompt, new_tokens}, policy,
                                       executor_);
    return driver_->run();
  }
  static std::vector<const Op*> ops_of(const Step& step, OpKind kind, int layer = 0) {
    std::vector<const Op*> ops;
    for (const Op& op : step.ops) {
      if (op.kind == kind && op.layer == layer) ops.push_back(&op);
    }
    return ops;
  }

  test::TinyMachine tiny_;
  const ModelShape model_ = test::tiny_model();
  test::ScriptedExecutor executor_{tiny_.machine};
  std::unique_ptr<Driver> driver_;
};

TEST_F(Sinks, Decisions_longPrompt_segmentIsSinksAndNewest) {
  Policy policy = policy_for(10, 6);
  const Timeline& timeline = run(policy, 10, 6);
  for (std::size_t i = 0; i < timeline.steps.size(); ++i) {
    const RequestDecision& row = timeline.steps[i].decision.rows[0];
    EXPECT_EQ(row.device_tokens, kSinks + kNewest) << i;
    EXPECT_EQ(row.host_tokens, 10 + static_cast<Tokens>(i) - kSinks - kNewest) << i;
    EXPECT_EQ(row.evict_tokens, i == 0 ? 0 : 1) << i;
  }
}

TEST_F(Sinks, Decisions_shortPrompt_hostStartsOnceSinksAndNewestAreFull) {
  Policy policy = policy_for(5, 6);
  const Timeline& timeline = run(policy, 5, 6);
  std::vector<Tokens> host;
  for (const StepEvent& step : timeline.steps) host.push_back(step.decision.rows[0].host_tokens);
  EXPECT_EQ(host, (std::vector<Tokens>{0, 0, 0, 1, 2, 3})) << "contexts of 5 to 10";
}

TEST_F(Sinks, Steps_moveThePositionsBehindTheSinks) {
  Policy policy = policy_for(10, 6);
  run(policy, 10, 6);
  const Step& prefill = *executor_.steps()[0];
  const auto down = ops_of(prefill, OpKind::offload_kv);
  ASSERT_EQ(down.size(), 1u);
  EXPECT_EQ(down[0]->work.first_token, 3);
  EXPECT_EQ(down[0]->work.tokens, 3);
  const auto kept = ops_of(prefill, OpKind::keep_kv);
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0]->work.first_token, 0);
  EXPECT_EQ(kept[0]->work.tokens, 3);
  EXPECT_EQ(kept[1]->work.first_token, 6);
  EXPECT_EQ(kept[1]->work.tokens, 4);
  const auto evicted = ops_of(*executor_.steps()[1], OpKind::offload_kv);
  ASSERT_EQ(evicted.size(), 1u);
  EXPECT_EQ(evicted[0]->work.first_token, 6) << "the oldest of the newest";
  EXPECT_EQ(ops_of(*executor_.steps()[1], OpKind::host_logits)[0]->work.tokens, 4);
  EXPECT_EQ(ops_of(*executor_.steps()[1], OpKind::device_logits)[0]->work.tokens, 7);
}

TEST_F(Sinks, MemoryPlan_roomForBothOnTheDevice) {
  const MemoryPlan plan = policy_for(10, 6).memory_plan();
  EXPECT_EQ(plan.slots[0].segment_tokens, kSinks + kNewest);
  EXPECT_EQ(plan.slots[0].sink_tokens, kSinks);
  EXPECT_EQ(plan.slots[0].host_tokens, 15 - kSinks - kNewest);
  const MemoryPlan small = policy_for(2, 1).memory_plan();
  EXPECT_EQ(small.slots[0].segment_tokens, 2);
  EXPECT_LT(small.slots[0].sink_tokens, 2) << "a ring has at least one slot";
}

// What the plan of a lookahead adds, in closed form.
TEST_F(Sinks, MemoryPlan_lookahead_twoLayersOfExchangeAreAlive) {
  const auto exchange = [&](const std::string& name) {
    const MemoryPlan plan = test::make_policy(tiny_.machine, model_, {1, 10, 6}, name).memory_plan();
    Bytes sum = 0;
    for (const Reservation& r : plan.reservations) {
      if (r.purpose == Purpose::exchange && r.tier == tiny_.hbm) sum += r.bytes;
    }
    return sum;
  };
  const Bytes rows = 4 * (11 / 2);  // query heads x half of the host's 11 tokens
  EXPECT_EQ(exchange("hybridgen"), rows * (10 + 4));
  EXPECT_EQ(exchange("hybridgen+use"), 2 * rows * (10 + 4));
  EXPECT_EQ(exchange("hybridgen+choose"), 2 * rows * (20 + 4));
}

}  // namespace
}  // namespace hybridgen
