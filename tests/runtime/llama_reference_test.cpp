// The kernels end to end: a full-attention Llama must reach the perplexity of an independent implementation
// (NumPy, fp32) on a real model, decoding and prefilling, with fp32 and with fp16 KV.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "formats/hf_config.hpp"
#include "formats/safetensors.hpp"
#include "tests/runtime/llama_loop.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen::kernels {
namespace {

const std::string kModel = source_path("models/smollm2-135m-instruct");

// Perplexity of the first 512 tokens of Debian's common-licenses/GPL-3: 511 predictions.
constexpr double kReferencePerplexity = 18.839;
constexpr double kRelativeBound =
    1e-3;  // the reference is printed to five digits; fp16 KV costs less than this

std::vector<std::int32_t> read_ids() {
  std::ifstream stream(source_path("tests/golden/gpl3_first_512_ids.txt"));
  std::vector<std::int32_t> ids;
  for (std::int32_t id = 0; stream >> id;) ids.push_back(id);
  return ids;
}

double negative_log_likelihood(const float* logits, int vocab, std::int32_t target) {
  const double top = *std::max_element(logits, logits + vocab);
  double sum = 0;
  for (int i = 0; i < vocab; ++i) sum += std::exp(logits[i] - top);
  return top + std::log(sum) - logits[target];
}

TensorLookup lookup_in(const SafetensorsFolder& folder) {
  return [&folder](const std::string& name) -> std::optional<TensorView> {
    const SafetensorsTensor* tensor = folder.find(name);
    if (!tensor) return std::nullopt;
    const TensorType type = tensor->type == SafetensorsType::f16    ? TensorType::f16
                            : tensor->type == SafetensorsType::bf16 ? TensorType::bf16
                                                                    : TensorType::f32;
    return TensorView{type, tensor->shape, tensor->data};
  };
}

class LlamaReference : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModel + "/config.json")) {
      GTEST_SKIP() << kModel << " is not there; ./dev setup makes it";
    }
    const ModelShape shape = read_hf_config(kModel + "/config.json");
    const SafetensorsFolder folder(kModel);
    weights_ = load_weights(shape, lookup_in(folder), memory_.allocator());
    ids_ = read_ids();
    ASSERT_EQ(ids_.size(), 512u);
  }

  double decoded_perplexity(KvType type) const {
    LlamaLoop loop(weights_, type, 512);
    double sum = 0;
    for (std::size_t t = 0; t + 1 < ids_.size(); ++t) {
      sum += negative_log_likelihood(loop.decode(ids_[t]), weights_.shape.vocab, ids_[t + 1]);
    }
    return std::exp(sum / static_cast<double>(ids_.size() - 1));
  }

  // In two chunks, so that the second one attends to a context.
  double prefilled_perplexity(KvType type) const {
    LlamaLoop loop(weights_, type, 512);
    double sum = 0;
    for (std::size_t begin = 0; begin < ids_.size(); begin += 300) {
      const std::size_t end = std::min<std::size_t>(begin + 300, ids_.size());
      const std::vector<std::int32_t> chunk(ids_.begin() + static_cast<std::ptrdiff_t>(begin),
                                            ids_.begin() + static_cast<std::ptrdiff_t>(end));
      const float* hidden = loop.prefill(chunk);
      for (std::size_t t = begin; t < end && t + 1 < ids_.size(); ++t) {
        const float* state = hidden + (t - begin) * static_cast<std::size_t>(weights_.shape.hidden);
        sum += negative_log_likelihood(loop.head(state), weights_.shape.vocab, ids_[t + 1]);
      }
    }
    return std::exp(sum / static_cast<double>(ids_.size() - 1));
  }

  void expect_reference(double perplexity, const char* what) {
    RecordProperty(what, std::to_string(perplexity));
    std::printf("perplexity, %s: %.5f\n", what, perplexity);
    EXPECT_NEAR(perplexity, kReferencePerplexity, kRelativeBound * kReferencePerplexity);
  }

  AlignedMemory memory_;
  ModelWeights weights_;
  std::vector<std::int32_t> ids_;
};

TEST_F(LlamaReference, DecodeWithF32Kv_reachesTheReferencePerplexity) {
  expect_reference(decoded_perplexity(KvType::f32), "decode, fp32 KV");
}

TEST_F(LlamaReference, DecodeWithF16Kv_reachesTheReferencePerplexity) {
  expect_reference(decoded_perplexity(KvType::f16), "decode, fp16 KV");
}

TEST_F(LlamaReference, PrefillInChunks_reachesTheReferencePerplexity) {
  expect_reference(prefilled_perplexity(KvType::f32), "prefill, fp32 KV");
}

// Without a model: decode and prefill are two ways to the same states.
TEST(LlamaLoop, DecodeAndPrefillOfDummyWeights_agree) {
  const ModelShape shape{.name = "tiny",
                         .layers = 3,
                         .hidden = 192,
                         .query_heads = 6,
                         .kv_heads = 2,
                         .head_dim = 32,
                         .ffn = 200,
                         .vocab = 311,
                         .max_context = 512,
                         .rope_theta = 1e4,
                         .norm_eps = 1e-5,
                         .tied_embeddings = false};
  AlignedMemory memory;
  const ModelWeights weights = dummy_weights(shape, 7, memory.allocator());
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < 90; ++i) ids.push_back(i * 37 % shape.vocab);
  LlamaLoop one_by_one(weights, KvType::f32, 90), at_once(weights, KvType::f32, 90);
  const float* hidden = at_once.prefill(ids);
  for (std::size_t t = 0; t < ids.size(); ++t) {
    const float* decoded = one_by_one.decode(ids[t]);
    const float* prefilled = at_once.head(hidden + t * static_cast<std::size_t>(shape.hidden));
    for (int i = 0; i < shape.vocab; ++i) ASSERT_NEAR(decoded[i], prefilled[i], 2e-4) << "token " << t;
  }
}

}  // namespace
}  // namespace hybridgen::kernels
