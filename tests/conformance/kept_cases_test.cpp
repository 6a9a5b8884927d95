// The selections of tests/reference/cases, token by token, on the real executor: a model of one layer whose
// embedding and projections give exactly the queries and keys of a case, so that everything between the
// policy and the kept rows runs as it does for any model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "runtime/kernels/half.hpp"
#include "tests/support/host_world.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen::testing {
namespace {

using Rows = std::vector<std::vector<std::vector<float>>>;  // [head][position][element]

constexpr int kHeadDim = 16;  // the least that the kernels take; a case's heads are filled up with zeros

struct SmallCase {
  PolicyChoice choice;
  int prompt = 0;
  int steps = 0;
  Rows queries;                                              // by query head
  Rows keys;                                                 // by KV head
  std::vector<std::vector<std::vector<std::int64_t>>> kept;  // [query head][step], ascending

  int tokens() const { return prompt + steps; }
};

// Token i is the i-th unit vector, and stands at position i; the norm leaves it as it is.
ModelShape shape_of(const SmallCase& each) {
  ModelShape shape = tiny_shape();
  shape.layers = 1;
  shape.hidden = shape.vocab = shape.max_context = each.tokens();
  shape.query_heads = static_cast<int>(each.queries.size());
  shape.kv_heads = static_cast<int>(each.keys.size());
  shape.head_dim = kHeadDim;
  shape.ffn = 16;
  shape.norm_eps = 0;
  shape.blocks.position = PositionKind::learned;  // a table of zeros: the case's rows are final
  shape.rope_theta = 0;
  return shape;
}

template <class T>
T* writable(const T* weights) {
  return const_cast<T*>(weights);  // the test owns their memory
}

void write_heads(const Rows& heads, std::int64_t first_row, float factor, const ModelShape& shape,
                 kernels::Half* matrix) {
  for (std::size_t head = 0; head < heads.size(); ++head) {
    for (std::size_t token = 0; token < heads[head].size(); ++token) {
      for (std::size_t d = 0; d < heads[head][token].size(); ++d) {
        const auto row = first_row + static_cast<std::int64_t>(head * kHeadDim + d);
        matrix[row * shape.hidden + static_cast<std::int64_t>(token)] =
            kernels::to_half(factor * heads[head][token][d]);
      }
    }
  }
}

std::shared_ptr<const HostModel> model_of(const SmallCase& each) {
  auto model = std::make_shared<HostModel>();
  model->shape = shape_of(each);
  const ModelShape& shape = model->shape;
  auto memory = std::make_shared<TierMemory>("weights");
  model->weights = dummy_weights(shape, 1, [&](Bytes bytes) { return memory->allocate(bytes); });
  model->memory = memory;
  const LayerWeights& layer = model->weights.layers[0];
  const auto zero = [](const kernels::Half* matrix, std::int64_t count) {
    std::fill_n(writable(matrix), count, kernels::Half{0});
  };
  zero(model->weights.embedding, shape.head_weights());
  zero(model->weights.positions, shape.position_weights());
  zero(layer.qkv.matrix, shape.qkv_weights());
  for (int i = 0; i < shape.hidden; ++i) {
    writable(model->weights.embedding)[i * shape.hidden + i] = kernels::to_half(1);
    writable(layer.attention_norm.weight)[i] = 1 / std::sqrt(static_cast<float>(shape.hidden));
  }
  // Logits are divided by the root of the heads' width, which here is more than the case's.
  const auto dim = static_cast<float>(each.keys[0][0].size());
  write_heads(each.queries, 0, std::sqrt(kHeadDim / dim), shape, writable(layer.qkv.matrix));
  write_heads(each.keys, shape.q_width(), 1, shape, writable(layer.qkv.matrix));
  return model;
}

std::vector<std::int32_t> count_from(int first, int count) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back(first + i);
  return ids;
}

void expect_kept(const SmallCase& each) {
  const auto model = model_of(each);
  const Machine machine = host_machine(2);
  const int new_tokens = each.steps + 1;
  const WorkloadShape workload{1, each.prompt, new_tokens, false};
  Policy policy(composition_of(each.choice), {machine, model->shape, KvDtype::f16, params_for(each.choice)},
                workload);
  TokenFeed feed;
  feed.prompts = {count_from(0, each.prompt)};
  feed.forced = {count_from(each.prompt, new_tokens)};
  HostExecutor executor(machine, model, policy.memory_plan(), std::move(feed), new_tokens);
  Driver driver(machine, model->shape, workload, policy, executor);
  ASSERT_TRUE(driver.advance());
  for (int step = 0; step < each.steps; ++step) {
    ASSERT_TRUE(driver.advance());
    const KeptRows& kept = executor.buffers(SlotId(0)).kept.at(0);
    for (std::size_t head = 0; head < each.queries.size(); ++head) {
      const auto positions = kept.positions(static_cast<int>(head * each.keys.size() / each.queries.size()));
      std::vector<std::int64_t> sorted(positions.begin(), positions.end());
      std::sort(sorted.begin(), sorted.end());
      ASSERT_EQ(sorted, each.kept[head][static_cast<std::size_t>(step)])
          << "step " << step << " head " << head;
    }
  }
}

// ---- the cases of the reference ----

std::int64_t index_of(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) - names.begin();
}

SmallCase read_case(const std::string& name) {
  std::ifstream file(source_path("tests/reference/cases/" + name + ".json"));
  const auto json = nlohmann::json::parse(file);
  const auto& settings = json.at("settings");
  SmallCase each;
  each.choice.preset = json.at("policy");
  each.choice.params["budget_tokens"] = settings.at("budget");
  if (each.choice.preset == "snapkv") {
    each.choice.params["observation_tokens"] = settings.at("window");
    each.choice.params["pooling_kernel"] = settings.at("kernel");
    each.choice.params["pooling"] = index_of({"max", "mean"}, settings.at("pooling"));
    each.choice.params["generated"] = index_of({"keep", "bound", "slide"}, settings.at("generated"));
  }
  each.prompt = json.at("prompt");
  each.queries = json.at("prompt_query").get<Rows>();
  const Rows later = json.at("query").get<Rows>();
  for (std::size_t head = 0; head < later.size(); ++head) {
    each.queries[head].insert(each.queries[head].end(), later[head].begin(), later[head].end());
  }
  each.steps = static_cast<int>(later[0].size());
  json.at("keys").get_to(each.keys);
  json.at("kept").get_to(each.kept);
  return each;
}

class ReferenceCase : public ::testing::TestWithParam<std::string> {};

TEST_P(ReferenceCase, EveryStep_keepsTheRowsThatWereWorkedOutByHand) {
  expect_kept(read_case(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Files, ReferenceCase,
                         ::testing::Values("h2o", "h2o-odd-budget", "h2o-grows-first", "h2o-long",
                                           "snapkv-keep", "snapkv-bound", "snapkv-slide"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// ---- StreamingLLM, by hand ----

// Budget 6 with two sinks: four of the newest, the new one among them.
SmallCase sinks_and_window(int prompt, std::vector<std::vector<std::int64_t>> kept) {
  SmallCase each = read_case("h2o");  // its queries and keys: the rule looks at neither
  each.choice = {
      "streaming-llm", {{"budget_tokens", 6}, {"sink_tokens", 2}, {"reindex", 1}}, {}, KvDtype::f16};
  each.steps = static_cast<int>(kept.size());
  each.prompt = prompt;
  each.kept.assign(each.queries.size(), std::move(kept));
  return each;
}

TEST(SinkWindow, PromptLongerThanTheBudget_sinksAndTheNewest) {
  expect_kept(sinks_and_window(11, {{0, 1, 8, 9, 10, 11}, {0, 1, 9, 10, 11, 12}, {0, 1, 10, 11, 12, 13}}));
}

TEST(SinkWindow, PromptShorterThanTheSinks_growsThenDropsTheOldestBehindThem) {
  expect_kept(sinks_and_window(1, {{0, 1},
                                   {0, 1, 2},
                                   {0, 1, 2, 3},
                                   {0, 1, 2, 3, 4},
                                   {0, 1, 2, 3, 4, 5},
                                   {0, 1, 3, 4, 5, 6},
                                   {0, 1, 4, 5, 6, 7}}));
}

}  // namespace
}  // namespace hybridgen::testing
