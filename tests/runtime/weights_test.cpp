// The weight loader on a tiny model whose every element says where it came from.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "core/base/error.hpp"
#include "core/residency/kv_dtype.hpp"
#include "runtime/kernels/half.hpp"
#include "tests/runtime/llama_loop.hpp"

#include <gtest/gtest.h>

namespace hybridgen {
namespace {

using kernels::AlignedMemory;
using kernels::Half;
using kernels::to_float;

ModelShape tiny(bool tied) {
  return {.name = "tiny",
          .layers = 2,
          .hidden = 48,
          .query_heads = 4,
          .kv_heads = 2,
          .head_dim = 16,
          .ffn = 40,
          .vocab = 11,
          .max_context = 64,
          .rope_theta = 1e4,
          .norm_eps = 1e-5,
          .tied_embeddings = tied};
}

// Tensors by name; element i of the n-th tensor is n + i / 8192.
class FakeFile {
 public:
  void put(const std::string& name, std::vector<std::int64_t> shape, TensorType type = TensorType::f32) {
    std::size_t n = 1;
    for (const std::int64_t extent : shape) n *= static_cast<std::size_t>(extent);
    Entry& entry = entries_[name];
    entry = {type, std::move(shape), std::vector<float>(n), {}};
    const auto order = static_cast<float>(entries_.size());
    for (std::size_t i = 0; i < n; ++i) entry.values[i] = order + static_cast<float>(i) / 8192.0f;
  }

  void put_model(const ModelShape& s) {
    const std::int64_t query = s.query_heads * s.head_dim, kv = s.kv_heads * s.head_dim;
    put("model.embed_tokens.weight", {s.vocab, s.hidden});
    put("model.norm.weight", {s.hidden});
    if (!s.tied_embeddings) put("lm_head.weight", {s.vocab, s.hidden});
    for (int i = 0; i < s.layers; ++i) {
      const std::string p = "model.layers." + std::to_string(i) + ".";
      put(p + "input_layernorm.weight", {s.hidden}, TensorType::bf16);
      put(p + "post_attention_layernorm.weight", {s.hidden}, TensorType::f16);
      put(p + "self_attn.q_proj.weight", {query, s.hidden}, TensorType::f16);
      put(p + "self_attn.k_proj.weight", {kv, s.hidden}, TensorType::bf16);
      put(p + "self_attn.v_proj.weight", {kv, s.hidden});
      put(p + "self_attn.o_proj.weight", {s.hidden, query});
      put(p + "mlp.gate_proj.weight", {s.ffn, s.hidden});
      put(p + "mlp.up_proj.weight", {s.ffn, s.hidden});
      put(p + "mlp.down_proj.weight", {s.hidden, s.ffn});
    }
  }

  void erase(const std::string& name) { entries_.erase(name); }
  std::vector<float>& values(const std::string& name) { return entries_.at(name).values; }

  // What a stored value becomes in a file of its tensor's type.
  float stored(const std::string& name, std::size_t i) const {
    const Entry& entry = entries_.at(name);
    if (entry.type == TensorType::f16) return to_float(kernels::to_half(entry.values[i]));
    if (entry.type == TensorType::f32) return entry.values[i];
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(entry.values[i]) & 0xffff0000u);
  }

  TensorLookup lookup() {
    for (auto& [name, entry] : entries_) {
      const std::size_t size = entry.type == TensorType::f32 ? 4 : 2;
      entry.raw.assign(entry.values.size() * size + 1, std::byte{});  // one byte in front: nothing is aligned
      for (std::size_t i = 0; i < entry.values.size(); ++i) {
        const float value = stored(name, i);
        const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
        const auto high = static_cast<std::uint16_t>(bits >> 16);
        const Half half = kernels::to_half(value);
        const void* from = entry.type == TensorType::f32    ? static_cast<const void*>(&bits)
                           : entry.type == TensorType::bf16 ? static_cast<const void*>(&high)
                                                            : static_cast<const void*>(&half);
        std::memcpy(entry.raw.data() + 1 + i * size, from, size);
      }
    }
    return [this](const std::string& name) -> std::optional<TensorView> {
      const auto found = entries_.find(name);
      if (found == entries_.end()) return std::nullopt;
      return TensorView{found->second.type, found->second.shape, found->second.raw.data() + 1};
    };
  }

 private:
  struct Entry {
    TensorType type;
    std::vector<std::int64_t> shape;
    std::vector<float> values;
    std::vector<std::byte> raw;
  };
  std::map<std::string, Entry> entries_;
};

void expect_rows(const FakeFile& file, const std::string& name, const Half* at, std::int64_t elements) {
  for (std::int64_t i = 0; i < elements; ++i) {
    ASSERT_EQ(at[i].bits, kernels::to_half(file.stored(name, static_cast<std::size_t>(i))).bits)
        << name << " " << i;
  }
}

std::string message_of(const ModelShape& shape, FakeFile& file) {
  try {
    AlignedMemory memory;
    load_weights(shape, file.lookup(), memory.allocator());
  } catch (const BadInput& error) {
    return error.what();
  }
  return "";
}

TEST(ModelWeights, EveryTensor_liesInItsFusedPlace) {
  for (const bool tied : {true, false}) {
    const ModelShape s = tiny(tied);
    FakeFile file;
    file.put_model(s);
    AlignedMemory memory;
    const ModelWeights w = load_weights(s, file.lookup(), memory.allocator());
    EXPECT_EQ(w.bytes, allocated_weight_bytes(s));
    expect_rows(file, "model.embed_tokens.weight", w.embedding, s.vocab * s.hidden);
    EXPECT_EQ(w.output == w.embedding, tied);
    if (!tied) expect_rows(file, "lm_head.weight", w.output, s.vocab * s.hidden);
    EXPECT_EQ(w.final_norm.weight[3], file.stored("model.norm.weight", 3));
    ASSERT_EQ(w.layers.size(), 2u);
    for (int i = 0; i < s.layers; ++i) {
      const LayerWeights& layer = w.layers[static_cast<std::size_t>(i)];
      const std::string p = "model.layers." + std::to_string(i) + ".";
      const std::int64_t query = s.query_heads * s.head_dim * s.hidden,
                         kv = s.kv_heads * s.head_dim * s.hidden;
      const std::int64_t ffn = s.ffn * s.hidden;
      expect_rows(file, p + "self_attn.q_proj.weight", layer.qkv.matrix, query);
      expect_rows(file, p + "self_attn.k_proj.weight", layer.qkv.matrix + query, kv);
      expect_rows(file, p + "self_attn.v_proj.weight", layer.qkv.matrix + query + kv, kv);
      expect_rows(file, p + "self_attn.o_proj.weight", layer.attention_out.matrix, query);
      expect_rows(file, p + "mlp.gate_proj.weight", layer.ffn_in.matrix, ffn);
      expect_rows(file, p + "mlp.up_proj.weight", layer.ffn_in.matrix + ffn, ffn);
      expect_rows(file, p + "mlp.down_proj.weight", layer.down.matrix, ffn);
      for (std::size_t d = 0; d < 48; ++d) {
        EXPECT_EQ(layer.attention_norm.weight[d], file.stored(p + "input_layernorm.weight", d));
        EXPECT_EQ(layer.ffn_norm.weight[d], file.stored(p + "post_attention_layernorm.weight", d));
      }
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(layer.down.matrix) % kWeightAlignment, 0u);
    }
  }
}

// Files written from the model without its head name their tensors without "model.".
TEST(ModelWeights, NamesWithoutTheModelPrefix_areFound) {
  const ModelShape s = tiny(false);
  FakeFile file;
  file.put_model(s);
  const TensorLookup all = file.lookup();
  const TensorLookup shortened = [&](const std::string& name) -> std::optional<TensorView> {
    if (name.starts_with("model.")) return std::nullopt;
    const auto found = all("model." + name);
    return found ? found : all(name);
  };
  AlignedMemory memory;
  const ModelWeights w = load_weights(s, shortened, memory.allocator());
  EXPECT_EQ(w.final_norm.weight[3], file.stored("model.norm.weight", 3));
}

TEST(ModelWeights, OptLayer_keepsBiasesBesideTheirProducts) {
  ModelShape s = tiny(true);
  s.kv_heads = s.query_heads;
  s.blocks = blocks_of(ModelFamily::opt);
  const std::int64_t query = std::int64_t{s.query_heads} * s.head_dim;
  FakeFile file;
  const std::string d = "model.decoder.";
  file.put(d + "embed_tokens.weight", {s.vocab, s.hidden});
  file.put(d + "embed_positions.weight", {s.max_context + 2, s.hidden});
  const auto with_bias = [&](const std::string& stem, std::int64_t rows, std::int64_t cols) {
    if (cols > 0) file.put(stem + ".weight", {rows, cols});
    if (cols == 0) file.put(stem + ".weight", {rows});
    file.put(stem + ".bias", {rows});
  };
  with_bias(d + "final_layer_norm", s.hidden, 0);
  for (int i = 0; i < s.layers; ++i) {
    const std::string p = d + "layers." + std::to_string(i) + ".";
    with_bias(p + "self_attn_layer_norm", s.hidden, 0);
    with_bias(p + "final_layer_norm", s.hidden, 0);
    for (const char* name : {"q_proj", "k_proj", "v_proj"})
      with_bias(p + "self_attn." + name, query, s.hidden);
    with_bias(p + "self_attn.out_proj", s.hidden, query);
    with_bias(p + "fc1", s.ffn, s.hidden);
    with_bias(p + "fc2", s.hidden, s.ffn);
  }
  AlignedMemory memory;
  const ModelWeights w = load_weights(s, file.lookup(), memory.allocator());
  const std::string p = d + "layers.1.";
  const LayerWeights& layer = w.layers[1];
  expect_rows(file, d + "embed_positions.weight", w.positions, (s.max_context + 2) * s.hidden);
  expect_rows(file, p + "self_attn.v_proj.weight", layer.qkv.matrix + 2 * query * s.hidden, query * s.hidden);
  expect_rows(file, p + "fc1.weight", layer.ffn_in.matrix, s.ffn * s.hidden);
  for (std::size_t i = 0; i < static_cast<std::size_t>(query); ++i) {
    EXPECT_EQ(layer.qkv.bias[i], file.stored(p + "self_attn.q_proj.bias", i));
    EXPECT_EQ(layer.qkv.bias[2 * static_cast<std::size_t>(query) + i],
              file.stored(p + "self_attn.v_proj.bias", i));
  }
  EXPECT_EQ(layer.attention_norm.bias[5], file.stored(p + "self_attn_layer_norm.bias", 5));
  EXPECT_EQ(layer.ffn_norm.weight[5], file.stored(p + "final_layer_norm.weight", 5));
  EXPECT_EQ(layer.down.bias[5], file.stored(p + "fc2.bias", 5));
  EXPECT_EQ(w.final_norm.bias[5], file.stored(d + "final_layer_norm.bias", 5));
}

TEST(ModelWeights, SeveralFaults_areAllNamedAtOnce) {
  const ModelShape s = tiny(true);
  FakeFile file;
  file.put_model(s);
  file.erase("model.norm.weight");
  file.put("model.layers.1.mlp.up_proj.weight", {s.hidden, s.ffn});
  const std::string message = message_of(s, file);
  EXPECT_NE(message.find("model.norm.weight: missing"), std::string::npos) << message;
  EXPECT_NE(
      message.find("model.layers.1.mlp.up_proj.weight: shape [48, 40], but the configuration needs [40, 48]"),
      std::string::npos)
      << message;
}

TEST(ModelWeights, ValuesThatFp16CannotHold_areRefusedByName) {
  for (const float bad : {70000.0f, std::numeric_limits<float>::infinity(), std::nanf("")}) {
    const ModelShape s = tiny(true);
    FakeFile file;
    file.put_model(s);
    file.values("model.layers.0.self_attn.v_proj.weight").back() = bad;
    const std::string message = message_of(s, file);
    EXPECT_NE(message.find("model.layers.0.self_attn.v_proj.weight: a value"), std::string::npos) << message;
  }
}

TEST(DummyWeights, SameSeed_givesTheSameBytesAndAnotherDiffers) {
  const ModelShape s = tiny(false);
  AlignedMemory first, second, third;
  const ModelWeights a = dummy_weights(s, 1, first.allocator());
  const ModelWeights b = dummy_weights(s, 1, second.allocator());
  const ModelWeights c = dummy_weights(s, 2, third.allocator());
  const auto n = static_cast<std::size_t>(s.vocab * s.hidden) * sizeof(Half);
  EXPECT_EQ(std::memcmp(a.output, b.output, n), 0);
  EXPECT_NE(std::memcmp(a.output, c.output, n), 0);
  double square = 0;
  for (int i = 0; i < s.vocab * s.hidden; ++i) square += std::pow(to_float(a.embedding[i]), 2);
  EXPECT_NEAR(square / s.vocab, 1.0, 0.3);  // rows of about unit length
}

TEST(ModelShape, Smollm2_hasItsKnownSize) {
  const ModelShape s{"smollm2", 30, 576, 9, 3, 64, 1536, 49152, 8192, 1e5, 1e-5, true};
  EXPECT_EQ(s.parameters(), 134'515'008);
  EXPECT_EQ(kv_row_bytes(s, KvDtype::f16), 384);
  EXPECT_EQ(s.qkv_weights() + s.out_weights() + s.ffn_weights(), 576 * 960 + 576 * 576 + 3 * 576 * 1536);
}

}  // namespace
}  // namespace hybridgen
