// Quest's pages, token by token, against selections that were worked out by hand.
#include <gtest/gtest.h>

#include "runtime/host/page_ops.hpp"
#include "tests/support/selection_case.hpp"

namespace hybridgen::testing {
namespace {

class QuestCase : public ::testing::TestWithParam<const char*> {
 protected:
  Policy policy(const ModelShape& shape) const {
    Params params;
    params.set("budget_tokens", case_.setting("budget"));
    params.set("page_tokens", case_.setting("page"));
    params.set("dense_layers", case_.setting("dense_layers"));
    return {find_preset("quest")->composition,
            {machine_, shape, KvDtype::f16, params},
            {1, case_.prompt, case_.later + 1}};
  }

  static Step step_at(const Policy& policy, Tokens first, Tokens count) {
    RequestDecision row;
    row.request = RequestId(0);
    row.first_position = first;
    row.query_tokens = count;
    row.device_tokens = first + count;
    return policy.build({StepId(first), {row}});
  }

  const SelectionCase case_{GetParam()};
  const Machine machine_ = host_machine();
};

std::vector<Tokens> positions_of(const RequestBuffers& buffers, const Op& attend, int head, Tokens page) {
  std::vector<Tokens> positions;
  const std::int32_t* pages = buffers.chosen_pages + head * buffers.size().pages;
  for (std::int64_t i = 0; i < attend.work.rows_per_head / page; ++i) {
    for (Tokens j = 0; j < page; ++j) positions.push_back(pages[i] * page + j);
  }
  for (Tokens j = 0; j < attend.work.tokens; ++j) positions.push_back(attend.work.first_token + j);
  return positions;
}

TEST_P(QuestCase, EveryStep_pagesAndOutputAsWorkedOutByHand) {
  const ModelShape shape = case_.shape();
  const Policy quest = policy(shape);
  const MemoryPlan& plan = quest.memory_plan();
  std::vector<TierMemory> memory;
  for (const Tier& tier : machine_.tiers()) memory.emplace_back(tier.name);
  RequestBuffers buffers(shape, plan, SlotId(0), memory);
  PageOps ops(shape, plan, 1);
  const auto width = static_cast<std::size_t>(shape.q_width());
  std::vector<float> query(width), out(width);
  std::vector<Bytes> channel_bytes(machine_.channels().size());

  // The step's page ops of the case's layer; returns the attending one.
  const auto play = [&](Team& team, const Step& step) {
    Op last;
    for (const Op& op : step.ops) {
      const bool of_pages = op.kind == OpKind::page_bounds || op.kind == OpKind::select_pages ||
                            op.kind == OpKind::attend_pages;
      if (op.layer != case_.layer || !of_pages) continue;
      ByteCounter bytes(machine_, machine_.lane(op.lane).processor, channel_bytes);
      ops.run({step, op, team, bytes}, buffers, {query.data(), out.data()});
      last = op;
    }
    return last;
  };
  on_a_lane([&](Team& team) {
    const RowStore& k = buffers.device_k(KvPlace::segment, case_.layer, 0);
    const RowStore& v = buffers.device_v(KvPlace::segment, case_.layer, 0);
    store_case_rows(case_, k, v, 0, case_.prompt);
    play(team, step_at(quest, 0, case_.prompt));
    for (Tokens step = 0; step < case_.later; ++step) {
      const Tokens position = case_.prompt + step;
      store_case_rows(case_, k, v, position, 1);
      for (int head = 0; head < case_.heads(); ++head) {
        const auto& row = case_.query[static_cast<std::size_t>(head)][static_cast<std::size_t>(step)];
        std::copy(row.begin(), row.end(), query.begin() + head * shape.head_dim);
      }
      const Op attend = play(team, step_at(quest, position, 1));
      ASSERT_EQ(attend.kind, OpKind::attend_pages);
      for (int head = 0; head < case_.heads(); ++head) {
        SCOPED_TRACE("step " + std::to_string(step) + ", query head " + std::to_string(head));
        EXPECT_EQ(positions_of(buffers, attend, head, plan.page_tokens),
                  case_.kept[static_cast<std::size_t>(head)][static_cast<std::size_t>(step)]);
        const std::vector<double> expected = case_.expected_output(head, step);
        for (int d = 0; d < shape.head_dim; ++d) {
          const auto at = static_cast<std::size_t>(d);
          EXPECT_NEAR(out[static_cast<std::size_t>(head * shape.head_dim) + at], expected[at], 1e-5);
        }
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(ByHand, QuestCase, ::testing::Values("quest", "quest-page-4"), [](const auto& each) {
  return std::string(each.param) == "quest" ? "page2" : "page4";
});

}  // namespace
}  // namespace hybridgen::testing
