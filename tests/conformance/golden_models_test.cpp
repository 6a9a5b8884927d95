// Every family on the host executor against the logits that transformers computed
// (tests/golden/make_golden.py), after a prompt and after each further token; and that what sets the families
// apart cannot be lost unnoticed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "cli/host_model_loader.hpp"
#include "tests/support/host_world.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen::testing {
namespace {

using kernels::Half;

constexpr double kBound = 1e-4;  // of the standard deviation of the logits

struct Golden {
  std::vector<std::int32_t> prompt, forced;
  std::vector<std::vector<float>> logits;  // after the prompt, and after each forced token
  double deviation = 0;
};

std::string folder_of(const std::string& name) {
  return source_path("tests/golden/models/" + name);
}

Golden read_golden(const std::string& name) {
  const nlohmann::json file = nlohmann::json::parse(std::ifstream(folder_of(name) + "/golden.json"));
  Golden golden;
  const std::vector<std::int32_t> ids = file.at("ids");
  const auto split = ids.begin() + file.at("prompt_tokens").get<std::ptrdiff_t>();
  golden.prompt.assign(ids.begin(), split);
  golden.forced.assign(split, ids.end());
  golden.forced.push_back(0);  // the last logits are of a token that is never fed
  golden.logits = file.at("logits");
  double sum = 0, squares = 0, count = 0;
  for (const auto& row : golden.logits) {
    for (const float x : row) {
      sum += x;
      squares += static_cast<double>(x) * x;
      ++count;
    }
  }
  golden.deviation = std::sqrt(squares / count - (sum / count) * (sum / count));
  return golden;
}

// A model that a test may change: weights are its own copy, in the memory that the model owns.
std::shared_ptr<HostModel> load(const std::string& name) {
  return std::make_shared<HostModel>(*cli::load_host_model(find_model(folder_of(name))));
}

struct Error {
  double prefill = 0;  // in standard deviations of the logits
  double decode = 0;
  double any() const { return std::max(prefill, decode); }
};

Error error_of(const std::shared_ptr<const HostModel>& model, const Golden& golden,
               const PolicyChoice& choice = {"full-gpu", {}, {}, KvDtype::f32}) {
  TokenFeed feed;
  feed.prompts = {golden.prompt};
  feed.forced = {golden.forced};
  const auto prompt = static_cast<Tokens>(golden.prompt.size());
  const auto steps = static_cast<Tokens>(golden.forced.size());
  const HostRun run = run_on_host(host_machine(), model, choice, {1, prompt, steps, false}, std::move(feed));
  EXPECT_EQ(run.logits[0].size(), golden.logits.size());
  Error error;
  for (std::size_t step = 0; step < golden.logits.size(); ++step) {
    const std::vector<float>& logits = run.logits[0].at(prompt - 1 + static_cast<Tokens>(step));
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double difference = std::abs(logits[i] - golden.logits[step][i]) / golden.deviation;
      double& worst = step == 0 ? error.prefill : error.decode;
      worst = difference <= worst ? worst : difference;  // NaN counts
    }
  }
  return error;
}

class GoldenModels : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenModels, FullAttentionFp32Kv_logitsEqualTransformers) {
  const Golden golden = read_golden(GetParam());
  ASSERT_GE(golden.prompt.size(), 48U);
  ASSERT_GE(golden.logits.size(), 8U);
  const Error error = error_of(load(GetParam()), golden);
  std::printf("%s: error in standard deviations: prefill %.2g, decode %.2g\n", GetParam().c_str(),
              error.prefill, error.decode);
  EXPECT_LE(error.prefill, kBound);
  EXPECT_LE(error.decode, kBound);
}

TEST_P(GoldenModels, HybridPathWithAllRows_logitsEqualTransformers) {
  const PolicyChoice all = {
      "hybridgen", {{"device_kv_tokens", 20}, {"topk_ratio", kPpmOne}}, {}, KvDtype::f32};
  EXPECT_LE(error_of(load(GetParam()), read_golden(GetParam()), all).any(), kBound);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenModels,
                         ::testing::Values("opt", "llama", "llama3", "qwen2", "qwen3"),
                         [](const auto& each) { return each.param; });

// ---- one thing wrong each ----

struct Mistake {
  std::string name;
  std::string model;
  std::function<void(HostModel&)> make;
};

// Names a test's parameter in ctest's list.
void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.name;
}

// Rewrites the rows of every q and k head: row i of a head becomes row from(i).
void permute_heads(HostModel& model, const std::function<int(int)>& from) {
  const ModelShape& shape = model.shape;
  const std::int64_t heads = shape.query_heads + shape.kv_heads;
  for (LayerWeights& layer : model.weights.layers) {
    auto* matrix = const_cast<Half*>(layer.qkv.matrix);
    const std::vector<Half> before(matrix, matrix + heads * shape.head_dim * shape.hidden);
    for (std::int64_t row = 0; row < heads * shape.head_dim; ++row) {
      const std::int64_t first = row / shape.head_dim * shape.head_dim;
      const auto source = before.begin() + (first + from(static_cast<int>(row - first))) * shape.hidden;
      std::copy_n(source, shape.hidden, matrix + row * shape.hidden);
    }
  }
}

void swap_halves(HostModel& model) {
  const int half = model.shape.head_dim / 2;
  permute_heads(model, [half](int i) { return (i + half) % (2 * half); });
}

void pair_neighbours(HostModel& model) {
  const int half = model.shape.head_dim / 2;
  permute_heads(model, [half](int i) { return i < half ? 2 * i : 2 * (i - half) + 1; });
}

void drop_qkv_bias(HostModel& model) {
  for (LayerWeights& layer : model.weights.layers) layer.qkv.bias = nullptr;
}

// One tensor's part of the fused bias: as if a loader had forgotten it.
void drop_bias_rows(HostModel& model, std::int64_t first, std::int64_t count) {
  for (LayerWeights& layer : model.weights.layers) {
    std::fill_n(const_cast<float*>(layer.qkv.bias) + first, count, 0.0F);
  }
}

void drop_norm_biases(HostModel& model) {
  const auto drop = [&](const NormWeights& norm) {
    std::fill_n(const_cast<float*>(norm.bias), model.shape.hidden, 0.0F);
  };
  for (const LayerWeights& layer : model.weights.layers) drop(layer.ffn_norm);
}

const std::vector<Mistake>& mistakes() {
  static const std::vector<Mistake> list = {
      {"LlamaSwappedRopeHalves", "llama", swap_halves},
      {"LlamaRopeOfNeighbours", "llama", pair_neighbours},
      {"LlamaOtherTheta", "llama", [](HostModel& m) { m.shape.rope_theta = 500'000; }},
      {"Llama3WithoutRopeScaling", "llama3", [](HostModel& m) { m.shape.blocks.rope_scaling = {}; }},
      {"Llama3ScalingOfAnotherContext", "llama3",
       [](HostModel& m) { m.shape.blocks.rope_scaling.original_context = 64; }},
      {"Llama3WithoutOutBias", "llama3",
       [](HostModel& m) {
         for (LayerWeights& layer : m.weights.layers) layer.attention_out.bias = nullptr;
       }},
      {"Llama3WithoutFfnBias", "llama3",
       [](HostModel& m) {
         for (LayerWeights& layer : m.weights.layers) layer.ffn_in.bias = layer.down.bias = nullptr;
       }},
      {"Qwen2WithoutQkvBias", "qwen2", drop_qkv_bias},
      {"Qwen2WithoutQBias", "qwen2", [](HostModel& m) { drop_bias_rows(m, 0, m.shape.q_width()); }},
      {"Qwen2WithoutKBias", "qwen2",
       [](HostModel& m) { drop_bias_rows(m, m.shape.q_width(), m.shape.kv_width()); }},
      {"Qwen2WithoutVBias", "qwen2",
       [](HostModel& m) { drop_bias_rows(m, m.shape.q_width() + m.shape.kv_width(), m.shape.kv_width()); }},
      {"Qwen3WithoutQNorm", "qwen3",
       [](HostModel& m) {
         for (LayerWeights& layer : m.weights.layers) layer.q_norm = nullptr;
       }},
      {"Qwen3QAndKNormSwapped", "qwen3",
       [](HostModel& m) {
         for (LayerWeights& layer : m.weights.layers) std::swap(layer.q_norm, layer.k_norm);
       }},
      {"OptPositionOffsetZero", "opt", [](HostModel& m) { m.shape.blocks.position_offset = 0; }},
      {"OptPositionOffsetOne", "opt", [](HostModel& m) { m.shape.blocks.position_offset = 1; }},
      {"OptRmsNorms", "opt", [](HostModel& m) { m.shape.blocks.norm = NormKind::rms; }},
      {"OptWithoutNormBiases", "opt", drop_norm_biases},
      {"OptWithoutQkvBias", "opt", drop_qkv_bias},
      {"OptWithoutDownBias", "opt",
       [](HostModel& m) {
         for (LayerWeights& layer : m.weights.layers) layer.down.bias = nullptr;
       }},
  };
  return list;
}

class GoldenMistakes : public ::testing::TestWithParam<Mistake> {};

// A hundred times the bound: the golden models notice each mistake clearly, not by rounding.
TEST_P(GoldenMistakes, OneThingWrong_missesTheBound) {
  const std::shared_ptr<HostModel> model = load(GetParam().model);
  GetParam().make(*model);
  const Error error = error_of(model, read_golden(GetParam().model));
  std::printf("%s: error %.2g standard deviations\n", GetParam().name.c_str(), error.any());
  EXPECT_FALSE(error.prefill <= 100 * kBound);
  EXPECT_FALSE(error.decode <= 100 * kBound);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenMistakes, ::testing::ValuesIn(mistakes()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace hybridgen::testing
