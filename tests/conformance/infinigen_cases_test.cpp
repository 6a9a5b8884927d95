// InfiniGen's rows, token by token, against selections that were worked out by hand; in fp32, so that partial
// columns of K are not rounded.
#include <gtest/gtest.h>

#include "runtime/host/partial_ops.hpp"
#include "tests/support/selection_case.hpp"

namespace hybridgen::testing {
namespace {

class InfinigenCase : public ::testing::TestWithParam<const char*> {
 protected:
  // The case's head_dim is a quarter of the kernels': the ratio, the skew and the scores' scale follow.
  int columns() const {
    return static_cast<int>(case_.json.at("settings").at("partial_ratio").get<double>() * case_.channels);
  }

  Policy policy(const ModelShape& shape) const {
    const auto& settings = case_.json.at("settings");
    const std::string evict = settings.at("evict");
    Params params;
    params.set("budget_tokens", case_.setting("budget"));
    // Scores are divided by the root of 16 channels instead of 4, so alpha is halved.
    params.set("alpha", static_cast<std::int64_t>(settings.at("alpha").get<double>() * 500));
    params.set("partial_ratio", columns() * kPpmOne / shape.head_dim);
    params.set("whole_layers", case_.setting("whole_layers"));
    params.set("predict_norm", 0);
    params.set("pool_tokens", case_.setting("pool_tokens"));
    params.set("pool_evict", evict == "fifo" ? 0 : evict == "lru" ? 1 : 2);
    return {find_preset("infinigen")->composition,
            {machine_, shape, KvDtype::f32, params},
            {1, case_.prompt, case_.later + 1}};
  }

  // skew[kv head], row vectors multiplied from the left, as columns behind one another; beyond the case's
  // channels the identity.
  std::vector<float> skew() const {
    constexpr int kWidth = SelectionCase::kWidth;
    std::vector<float> columns;
    for (const auto& of_head : case_.json.at("skew")) {
      for (int c = 0; c < kWidth; ++c) {
        for (int row = 0; row < kWidth; ++row) {
          const bool inside = c < case_.channels && row < case_.channels;
          columns.push_back(
              inside ? of_head[static_cast<std::size_t>(row)][static_cast<std::size_t>(c)].get<float>()
                     : (c == row ? 1.0F : 0.0F));
        }
      }
    }
    return columns;
  }

  Step step_at(const Policy& policy, Tokens first, Tokens count, const MemoryPlan& plan) const {
    RequestDecision row;
    row.request = RequestId(0);
    row.first_position = first;
    row.query_tokens = count;
    row.host_tokens = first + count;
    if (count == 1) {
      const Tokens pool = plan.partial.pool_tokens;
      row.scan_tokens = pool == 0 ? first : std::min(first, std::max(case_.prompt, pool));
      row.rows_per_head = std::min<std::int64_t>(row.scan_tokens, case_.setting("budget"));
    }
    return policy.build({StepId(first), {row}});
  }

  const SelectionCase case_{GetParam()};
  const Machine machine_ = host_machine();
};

TEST_P(InfinigenCase, EveryStep_rowsAndOutputAsWorkedOutByHand) {
  const ModelShape shape = case_.shape();
  const Policy infinigen = policy(shape);
  const MemoryPlan& plan = infinigen.memory_plan();
  ASSERT_EQ(plan.partial.columns, columns());
  std::vector<TierMemory> memory;
  for (const Tier& tier : machine_.tiers()) memory.emplace_back(tier.name);
  RequestBuffers buffers(shape, plan, SlotId(0), memory);
  PartialStore store(shape, plan, SlotId(0), memory);
  const std::vector<float> skew_columns = skew();
  PartialOps ops(shape, plan,
                 std::vector<const float*>(static_cast<std::size_t>(shape.layers), skew_columns.data()), 1);
  const auto width = static_cast<std::size_t>(shape.q_width());
  std::vector<Bytes> channel_bytes(machine_.channels().size());
  std::vector<float> query, predicted(width), out(width);
  const std::vector<Rows> prompt_query = case_.rows("prompt_query");
  const std::vector<Rows> guessed = case_.rows("predicted_query");
  const auto take = [&](const std::vector<Rows>& of, Tokens at, float* to) {
    for (const Rows& head : of) {
      const auto& row = head[static_cast<std::size_t>(at)];
      to = std::copy(row.begin(), row.end(), to);
    }
  };

  on_a_lane([&](Team& team) {
    const auto play = [&](const Step& step, Tokens first, Tokens count) {
      const PartialRow row{first, count, query.data(), shape.q_width(), predicted.data(), out.data()};
      for (const Op& op : step.ops) {
        const bool ours = op.kind >= OpKind::partial_keys && op.kind <= OpKind::attend_fetched;
        if (op.layer != case_.layer || !ours) continue;
        ByteCounter bytes(machine_, machine_.lane(op.lane).processor, channel_bytes);
        ops.run({step, op, team, bytes}, buffers, store, row);
      }
    };
    const int buffer = case_.layer % 2;
    const RowStore& staged_k = buffers.device_k(KvPlace::staging, case_.layer, buffer);
    const RowStore& staged_v = buffers.device_v(KvPlace::staging, case_.layer, buffer);
    store_case_rows(case_, staged_k, staged_v, 0, case_.prompt, kernels::KvType::f32);
    store_case_rows(case_, buffers.host_k(case_.layer), buffers.host_v(case_.layer), 0, case_.prompt,
                    kernels::KvType::f32);
    query.resize(width * static_cast<std::size_t>(case_.prompt));
    for (Tokens t = 0; t < case_.prompt; ++t) take(prompt_query, t, query.data() + t * shape.q_width());
    play(step_at(infinigen, 0, case_.prompt, plan), 0, case_.prompt);
    for (Tokens step = 0; step < case_.later; ++step) {
      const Tokens position = case_.prompt + step;
      store_case_rows(case_, staged_k, staged_v, position, 1, kernels::KvType::f32);
      take(case_.query, step, query.data());
      take(guessed, step, predicted.data());
      const std::vector<PoolHead> pool = store.layer(case_.layer).pool;  // before the new row joins it
      play(step_at(infinigen, position, 1, plan), position, 1);
      const FetchBuffers& fetch = store.fetch(case_.layer);
      for (int head = 0; head < case_.heads(); ++head) {
        SCOPED_TRACE("step " + std::to_string(step) + ", query head " + std::to_string(head));
        std::vector<Tokens> read = {position};
        for (std::int64_t i = 0; i < fetch.count; ++i) {
          const auto slot = static_cast<std::size_t>(fetch.host_chosen[head * fetch.count + i]);
          read.push_back(pool[static_cast<std::size_t>(head / case_.group())].position[slot]);
        }
        std::sort(read.begin(), read.end());
        EXPECT_EQ(read, case_.kept[static_cast<std::size_t>(head)][static_cast<std::size_t>(step)]);
        const std::vector<double> expected = case_.expected_output(head, step);
        for (int d = 0; d < shape.head_dim; ++d) {
          const auto at = static_cast<std::size_t>(d);
          EXPECT_NEAR(out[static_cast<std::size_t>(head * shape.head_dim) + at], expected[at], 1e-5);
        }
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(ByHand, InfinigenCase,
                         ::testing::Values("infinigen", "infinigen-cap", "infinigen-pool-fifo",
                                           "infinigen-pool-lru", "infinigen-pool-counter"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace hybridgen::testing
