// Rows that go up per query head and per KV group: exact where all are taken, the union of the heads' own
// choices or the one choice of a group where not, and the bytes of each in closed form, in a real run and in
// its simulation.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
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

PolicyChoice hybridgen(SelectBy by, const std::string& select, Ppm ratio, KvDtype dtype) {
  PolicyChoice choice{"hybridgen",
                      {{"device_kv_tokens", kDevice}, {"select_by", static_cast<std::int64_t>(by)}},
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
    EXPECT_LT(
        largest_difference(full, run(shape, hybridgen(SelectBy::kv_group, "top-k", kPpmOne, KvDtype::f32))),
        1e-3F);
    EXPECT_LT(largest_difference(
                  full, run(shape, hybridgen(SelectBy::kv_group_best, "top-k", kPpmOne, KvDtype::f32))),
              1e-3F);
    EXPECT_LT(largest_difference(full, run(shape, hybridgen(SelectBy::kv_group, "all", 0, KvDtype::f32))),
              1e-3F);
  }
}

TEST(KvGroup, GroupOfOne_sameStepsAndNumbersAsByQueryHead) {
  const ModelShape shape = shape_with(4, 1);
  for (const char* select : {"top-k", "threshold", "all"}) {
    const HostRun a = run(shape, hybridgen(SelectBy::query_head, select, 200'000, KvDtype::f16));
    for (const SelectBy by : {SelectBy::kv_group, SelectBy::kv_group_best}) {
      if (by == SelectBy::kv_group_best && std::string(select) != "top-k") continue;
      const HostRun b = run(shape, hybridgen(by, select, 200'000, KvDtype::f16));
      EXPECT_EQ(largest_difference(a, b), 0.0F) << select;
      for (std::size_t i = 0; i < a.timeline.steps.size(); ++i) {
        EXPECT_EQ(a.timeline.steps[i].structure, b.timeline.steps[i].structure) << select;
        EXPECT_EQ(a.timeline.steps[i].channel_bytes, b.timeline.steps[i].channel_bytes) << select;
      }
    }
  }
}

// Of every step and query head of a run over one layer, where the choices of the heads do not depend on what
// was attended to before: the rows that enter its softmax, the logits they enter with, and those of all the
// rows scanned.
struct Chosen {
  std::vector<std::int32_t> rows;
  std::vector<float> entered, logits;
};

std::vector<Chosen> chosen_by(SelectBy by, const ModelShape& shape, int threads = 2, int prompt = kPrompt) {
  const Machine machine = host_machine(threads);
  const PolicyChoice choice = hybridgen(by, "top-k", 150'000, KvDtype::f32);
  const WorkloadShape workload{1, prompt, kNew, false};
  Policy policy(composition_of(choice), {machine, shape, choice.kv_dtype, params_for(choice)}, workload);
  TokenFeed feed = forced_feed(shape.vocab);
  feed.prompts = {prompt_of(prompt, shape.vocab, 5)};
  HostExecutor executor(machine, model_of(shape), policy.memory_plan(), std::move(feed), kNew);
  Driver driver(machine, shape, workload, policy, executor);
  std::vector<Chosen> chosen;  // by query head, then the same by step
  while (driver.advance()) {
    const RequestDecision& row = driver.timeline().steps.back().decision.rows[0];
    if (row.prefill()) continue;
    const RequestBuffers& buffers = executor.buffers(SlotId(0));
    const Exchange& exchange = buffers.exchange(0);
    const float* entered = exchange.chosen_scores;  // behind each other
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      const std::int32_t* rows = exchange.rows_of(head, buffers.size().exchange_rows_per_head);
      const std::int64_t count = exchange.counts[static_cast<std::size_t>(head)];
      const float* logits = buffers.host_scores + head * buffers.size().host_tokens;
      chosen.push_back(
          {{rows, rows + count}, {entered, entered + count}, {logits, logits + row.scan_tokens}});
      entered += count;
    }
  }
  return chosen;
}

constexpr int kGroup = 3, kHeads = 2;

// By one thread, and by several that have shares of every loop: 400 rows scanned, 60 chosen.
TEST(KvGroup, OneLayer_eachRowEntersWithItsOwnLogit) {
  const ModelShape shape = shape_with(kHeads, kGroup, 1);
  for (const SelectBy by : {SelectBy::query_head, SelectBy::kv_group, SelectBy::kv_group_best}) {
    for (const int threads : {1, 2, 3}) {
      for (const Chosen& head : chosen_by(by, shape, threads, 400)) {
        ASSERT_GE(head.rows.size(), 58u);
        ASSERT_LT(head.rows.size(), head.logits.size());
        for (std::size_t i = 0; i < head.rows.size(); ++i) {
          ASSERT_EQ(head.entered[i], head.logits[static_cast<std::size_t>(head.rows[i])])
              << static_cast<int>(by) << ", " << threads << " threads, place " << i;
        }
      }
    }
  }
}

TEST(KvGroup, OneLayer_rowsAreTheUnionOfTheHeadsOwn) {
  const ModelShape shape = shape_with(kHeads, kGroup, 1);
  const auto own = chosen_by(SelectBy::query_head, shape), united = chosen_by(SelectBy::kv_group, shape);
  ASSERT_EQ(own.size(), united.size());
  int larger = 0;
  for (std::size_t head = 0; head < own.size(); ++head) {
    std::set<std::int32_t> all;
    for (std::size_t g = 0; g < kGroup; ++g) {
      const auto& each = own[head / kGroup * kGroup + g].rows;
      all.insert(each.begin(), each.end());
    }
    EXPECT_EQ(united[head].rows, std::vector<std::int32_t>(all.begin(), all.end())) << head;
    larger += united[head].rows.size() > own[head].rows.size() ? 1 : 0;
  }
  EXPECT_GT(larger, 0) << "or the heads choose alike and the test shows nothing";
}

// Sorted here by hand: how close a row comes to the largest logit of any head of its group.
TEST(KvGroup, OneLayer_oneChoiceIsTheRowsClosestToAnyHeadsLargestLogit) {
  const ModelShape shape = shape_with(kHeads, kGroup, 1);
  const auto own = chosen_by(SelectBy::query_head, shape, 1, 400);
  const auto best = chosen_by(SelectBy::kv_group_best, shape, 3, 400);
  ASSERT_EQ(own.size(), best.size());
  int others = 0;
  for (std::size_t first = 0; first < best.size(); first += kGroup) {
    std::vector<std::pair<float, std::int32_t>> order;  // the margin's negative, row
    for (std::size_t row = 0; row < best[first].logits.size(); ++row) {
      float margin = -std::numeric_limits<float>::infinity();
      for (std::size_t head = first; head < first + kGroup; ++head) {
        const std::vector<float>& logits = best[head].logits;
        margin = std::max(margin, logits[row] - *std::max_element(logits.begin(), logits.end()));
      }
      order.emplace_back(-margin, static_cast<std::int32_t>(row));
    }
    std::sort(order.begin(), order.end());
    std::vector<std::int32_t> expected;
    for (std::size_t i = 0; i < own[first].rows.size(); ++i) expected.push_back(order[i].second);
    std::sort(expected.begin(), expected.end());
    for (std::size_t head = first; head < first + kGroup; ++head) {
      EXPECT_EQ(best[head].rows, expected) << head;
      others += best[head].rows != own[head].rows ? 1 : 0;
    }
  }
  EXPECT_GT(others, 0) << "or the heads choose alike and the test shows nothing";
}

struct Sharing {
  int group = 1;
  SelectBy by = SelectBy::query_head;
  std::string select;

  bool by_group() const { return by != SelectBy::query_head; }
};

const char* name_of(SelectBy by) {
  return by == SelectBy::query_head ? "by_head" : by == SelectBy::kv_group ? "by_group" : "by_group_best";
}

void PrintTo(const Sharing& sharing, std::ostream* out) {
  *out << "G=" << sharing.group << " " << name_of(sharing.by) << " " << sharing.select;
}

class BytesOfARun : public ::testing::TestWithParam<Sharing> {};

// In one layer, with Q the width of all query heads, r the bytes of K or V of one token, h of one head's row:
// down go the query, 4 x Q, and the evicted token's K and V, 2 x r; up go U rows of h bytes and their logits,
// 4 bytes of each head that they serve. U is k of every query head, k of every KV head where a group makes
// one choice, or what the run counted.
TEST_P(BytesOfARun, RealAndSimulated_areTheClosedForm) {
  constexpr int kKvHeads = 2;
  const Sharing& sharing = GetParam();
  const ModelShape shape = shape_with(kKvHeads, sharing.group);
  const PolicyChoice choice = hybridgen(sharing.by, sharing.select, 200'000, KvDtype::f16);
  const Timeline real = run(shape, choice).timeline;
  const Machine machine = host_machine();
  const WorkloadShape workload{1, kPrompt, kNew, false};
  Policy policy(composition_of(choice), {machine, shape, choice.kv_dtype, params_for(choice)}, workload);
  FluidExecutor executor(machine, std::make_unique<PlatformDurations>(machine),
                         std::make_unique<RecordedOutcomes>(real));
  const Timeline simulated = Driver(machine, shape, workload, policy, executor).run();
  ASSERT_EQ(real.steps.size(), simulated.steps.size());

  const Bytes h = 16 * 2, r = kKvHeads * h, Q = kKvHeads * sharing.group * 16;
  const Bytes heads_per_row = sharing.by_group() ? sharing.group : 1;
  const bool counted = sharing.select == "threshold" ||
                       (sharing.select == "top-k" && sharing.by == SelectBy::kv_group && sharing.group > 1);
  for (std::size_t step = 1; step < real.steps.size(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const StepEvent& event = real.steps[step];
    const Tokens host = kPrompt + static_cast<Tokens>(step) - kDevice;
    const std::int64_t k = sharing.select == "all" ? host : host / 5;
    std::int64_t rows =
        3 * (sharing.by_group() ? kKvHeads : kKvHeads * sharing.group) * k;  // of three layers
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
    for (const SelectBy by : {SelectBy::query_head, SelectBy::kv_group}) {
      for (const char* select : {"top-k", "threshold", "all"}) all.push_back({group, by, select});
    }
    all.push_back({group, SelectBy::kv_group_best, "top-k"});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Groups, BytesOfARun, ::testing::ValuesIn(all_sharings()), [](const auto& each) {
  std::string name = "of" + std::to_string(each.param.group) + "_" + name_of(each.param.by) + "_";
  for (const char c : each.param.select) name += c == '-' ? '_' : c;
  return name;
});

}  // namespace
}  // namespace hybridgen::testing
