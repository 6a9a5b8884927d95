// Rows that go up per query head and per KV group: exact where all are taken, the union of the heads' own
// choices where not, and the bytes of either in closed form, in a real run and in its simulation.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sim/fluid/fluid_executor.hpp"
#include "sim/world/platform_durations.hpp"
#include "sim/world/recorded_outcomes.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

constexpr int kPrompt = 50, kNew = 10;
constexpr Tokens kDevice = 12;

ModelShape shape_with(int kv_heads, int group, int layers = 3) {
  ModelShape shape = tiny_shape();
  shape.kv_heads = kv_heads;
  shape.query_heads = kv_heads * group;
  shape.layers = layers;
  return shape;
}

TokenFeed forced_feed(int vocab) {
  TokenFeed feed;
  feed.prompts = {prompt_of(kPrompt, vocab, 5)};
  feed.forced = {prompt_of(kNew, vocab, 77)};
  return feed;
}

PolicyChoice hybridgen(bool by_group, const std::string& select, Ppm ratio, KvDtype dtype) {
  PolicyChoice choice{"hybridgen",
                      {{"device_kv_tokens", kDevice}, {"select_by", by_group ? 1 : 0}},
                      {{"select", select}},
                      dtype};
  if (select == "top-k") choice.params["topk_ratio"] = ratio;
  if (select == "threshold") {
    choice.params["max_rows_ratio"] = ratio;
    choice.params["alpha"] = 300;
  }
  return choice;
}

HostRun run(const ModelShape& shape, const PolicyChoice& choice) {
  return run_on_host(host_machine(), model_of(shape), choice, {1, kPrompt, kNew, false},
                     forced_feed(shape.vocab));
}

TEST(KvGroup, AllRowsFp32_logitsEqualFullGpuForEveryFamily) {
  for (const ModelFamily family : all_families()) {
    SCOPED_TRACE(name_of(family));
    const ModelShape shape = tiny_shape(family);
    const HostRun full = run(shape, {"full-gpu", {}, {}, KvDtype::f32});
    EXPECT_LT(largest_difference(full, run(shape, hybridgen(true, "top-k", kPpmOne, KvDtype::f32))), 1e-3F);
    EXPECT_LT(largest_difference(full, run(shape, hybridgen(true, "all", 0, KvDtype::f32))), 1e-3F);
  }
}

TEST(KvGroup, GroupOfOne_sameStepsAndNumbersAsByQueryHead) {
  const ModelShape shape = shape_with(4, 1);
  for (const char* select : {"top-k", "threshold", "all"}) {
    const HostRun a = run(shape, hybridgen(false, select, 200'000, KvDtype::f16));
    const HostRun b = run(shape, hybridgen(true, select, 200'000, KvDtype::f16));
    EXPECT_EQ(largest_difference(a, b), 0.0F) << select;
    for (std::size_t i = 0; i < a.timeline.steps.size(); ++i) {
      EXPECT_EQ(a.timeline.steps[i].structure, b.timeline.steps[i].structure) << select;
      EXPECT_EQ(a.timeline.steps[i].channel_bytes, b.timeline.steps[i].channel_bytes) << select;
    }
  }
}

// In a model of one layer the choices of the heads do not depend on what was attended to before.
TEST(KvGroup, OneLayer_rowsAreTheUnionOfTheHeadsOwn) {
  constexpr int kGroup = 3, kHeads = 2;
  const ModelShape shape = shape_with(kHeads, kGroup, 1);
  const Machine machine = host_machine(2);
  const auto rows_of = [&](bool by_group) {
    const PolicyChoice choice = hybridgen(by_group, "top-k", 150'000, KvDtype::f32);
    const WorkloadShape workload{1, kPrompt, kNew, false};
    Policy policy(composition_of(choice), {machine, shape, choice.kv_dtype, params_for(choice)}, workload);
    HostExecutor executor(machine, model_of(shape), policy.memory_plan(), forced_feed(shape.vocab), kNew);
    Driver driver(machine, shape, workload, policy, executor);
    std::vector<std::vector<std::int32_t>> rows;  // by query head, then the same by step
    while (driver.advance()) {
      if (driver.timeline().steps.back().decision.rows[0].prefill()) continue;
      const RequestBuffers& buffers = executor.buffers(SlotId(0));
      for (std::int64_t head = 0; head < shape.query_heads; ++head) {
        const Exchange& exchange = buffers.exchange(0);
        const std::int32_t* first = exchange.rows_of(head, buffers.size().exchange_rows_per_head);
        rows.emplace_back(first, first + exchange.counts[static_cast<std::size_t>(head)]);
      }
    }
    return rows;
  };
  const auto own = rows_of(false), united = rows_of(true);
  ASSERT_EQ(own.size(), united.size());
  int larger = 0;
  for (std::size_t head = 0; head < own.size(); ++head) {
    std::set<std::int32_t> all;
    for (std::size_t g = 0; g < kGroup; ++g) {
      const auto& each = own[head / kGroup * kGroup + g];
      all.insert(each.begin(), each.end());
    }
    EXPECT_EQ(united[head], std::vector<std::int32_t>(all.begin(), all.end())) << head;
    larger += united[head].size() > own[head].size() ? 1 : 0;
  }
  EXPECT_GT(larger, 0) << "or the heads choose alike and the test shows nothing";
}

struct Sharing {
  int group = 1;
  bool by_group = false;
  std::string select;
};

void PrintTo(const Sharing& sharing, std::ostream* out) {
  *out << "G=" << sharing.group << (sharing.by_group ? " by group " : " by head ") << sharing.select;
}

class BytesOfARun : public ::testing::TestWithParam<Sharing> {};

// In one layer, with Q the width of all query heads, r the bytes of K or V of one token, h of one head's row:
// down go the query, 4 x Q, and the evicted token's K and V, 2 x r; up go U rows of h bytes and their logits,
// 4 bytes of each head that they serve. U is k of every query head, or what the run counted.
TEST_P(BytesOfARun, RealAndSimulated_areTheClosedForm) {
  constexpr int kKvHeads = 2;
  const Sharing& sharing = GetParam();
  const ModelShape shape = shape_with(kKvHeads, sharing.group);
  const PolicyChoice choice = hybridgen(sharing.by_group, sharing.select, 200'000, KvDtype::f16);
  const Timeline real = run(shape, choice).timeline;
  const Machine machine = host_machine();
  const WorkloadShape workload{1, kPrompt, kNew, false};
  Policy policy(composition_of(choice), {machine, shape, choice.kv_dtype, params_for(choice)}, workload);
  FluidExecutor executor(machine, std::make_unique<PlatformDurations>(machine),
                         std::make_unique<RecordedOutcomes>(real));
  const Timeline simulated = Driver(machine, shape, workload, policy, executor).run();
  ASSERT_EQ(real.steps.size(), simulated.steps.size());

  const Bytes h = 16 * 2, r = kKvHeads * h, Q = kKvHeads * sharing.group * 16;
  const Bytes heads_per_row = sharing.by_group ? sharing.group : 1;
  const bool counted =
      sharing.select == "threshold" || (sharing.select == "top-k" && sharing.by_group && sharing.group > 1);
  for (std::size_t step = 1; step < real.steps.size(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const StepEvent& event = real.steps[step];
    const Tokens host = kPrompt + static_cast<Tokens>(step) - kDevice;
    const std::int64_t k = sharing.select == "all" ? host : host / 5;
    std::int64_t rows = 3 * (sharing.by_group ? kKvHeads : kKvHeads * sharing.group) * k;  // of three layers
    EXPECT_EQ(event.outcomes.size(), counted ? 3u : 0u);
    if (counted) {
      rows = 0;
      for (const OutcomeEvent& outcome : event.outcomes) rows += outcome.count;
    }
    const Bytes up = rows * (h + 4 * heads_per_row), down = 3 * (4 * Q + 2 * r);
    for (const StepEvent* each : {&event, &simulated.steps[step]}) {
      EXPECT_EQ(each->channel_bytes[1], up);
      EXPECT_EQ(each->channel_bytes[2], down);
      Bytes packed = 0;
      for (const OpEvent& op : each->ops) packed += op.kind == OpKind::pack_rows ? op.bytes : 0;
      EXPECT_EQ(packed, 2 * rows * h) << "read where they lie, written packed";
    }
  }
}

std::vector<Sharing> all_sharings() {
  std::vector<Sharing> all;
  for (const int group : {1, 3, 4, 8}) {
    for (const bool by_group : {false, true}) {
      for (const char* select : {"top-k", "threshold", "all"}) all.push_back({group, by_group, select});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Groups, BytesOfARun, ::testing::ValuesIn(all_sharings()), [](const auto& each) {
  std::string name =
      "of" + std::to_string(each.param.group) + (each.param.by_group ? "_by_group_" : "_by_head_");
  for (const char c : each.param.select) name += c == '-' ? '_' : c;
  return name;
});

}  // namespace
}  // namespace hybridgen::testing
