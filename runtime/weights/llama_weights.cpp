#include "runtime/weights/llama_weights.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/half.hpp"

namespace hybridgen {
namespace {

using kernels::Half;

// One tensor of the file and where it goes.
struct Slot {
  std::string name;
  std::vector<std::int64_t> shape;
  bool is_norm = false;  // stays fp32
  std::byte* target = nullptr;

  std::int64_t elements() const {
    std::int64_t product = 1;
    for (const std::int64_t extent : shape) product *= extent;
    return product;
  }
};

// Lays tensors out behind each other. With a null base it only measures, so size and layout cannot disagree.
class Layout {
 public:
  explicit Layout(std::byte* base) : base_(base) {}

  // Starts a new aligned tensor and returns where it will lie.
  template <class T>
  const T* begin() {
    used_ = (used_ + kWeightAlignment - 1) / kWeightAlignment * kWeightAlignment;
    return base_ ? reinterpret_cast<const T*>(base_ + used_) : nullptr;
  }

  // Appends rows from the tensor `name` to it.
  void matrix(const std::string& name, std::int64_t rows, std::int64_t cols) {
    append({name, {rows, cols}, false, nullptr}, sizeof(Half));
  }
  void norm(const std::string& name, std::int64_t n) { append({name, {n}, true, nullptr}, sizeof(float)); }

  Bytes used() const { return used_; }
  const std::vector<Slot>& slots() const { return slots_; }

 private:
  void append(Slot slot, std::size_t element) {
    slot.target = base_ ? base_ + used_ : nullptr;
    used_ += slot.elements() * static_cast<Bytes>(element);
    slots_.push_back(std::move(slot));
  }

  std::byte* base_;
  Bytes used_ = 0;
  std::vector<Slot> slots_;
};

LlamaLayer lay_out_layer(const ModelShape& shape, int index, Layout& layout) {
  const std::string prefix = "model.layers." + std::to_string(index) + ".";
  const std::int64_t query_width = std::int64_t{shape.query_heads} * shape.head_dim;
  const std::int64_t kv_width = std::int64_t{shape.kv_heads} * shape.head_dim;
  LlamaLayer layer;
  layer.attention_norm = layout.begin<float>();
  layout.norm(prefix + "input_layernorm.weight", shape.hidden);
  layer.qkv = layout.begin<Half>();
  layout.matrix(prefix + "self_attn.q_proj.weight", query_width, shape.hidden);
  layout.matrix(prefix + "self_attn.k_proj.weight", kv_width, shape.hidden);
  layout.matrix(prefix + "self_attn.v_proj.weight", kv_width, shape.hidden);
  layer.attention_out = layout.begin<Half>();
  layout.matrix(prefix + "self_attn.o_proj.weight", shape.hidden, query_width);
  layer.ffn_norm = layout.begin<float>();
  layout.norm(prefix + "post_attention_layernorm.weight", shape.hidden);
  layer.gate_up = layout.begin<Half>();
  layout.matrix(prefix + "mlp.gate_proj.weight", shape.ffn, shape.hidden);
  layout.matrix(prefix + "mlp.up_proj.weight", shape.ffn, shape.hidden);
  layer.down = layout.begin<Half>();
  layout.matrix(prefix + "mlp.down_proj.weight", shape.hidden, shape.ffn);
  return layer;
}

LlamaWeights lay_out(const ModelShape& shape, Layout& layout) {
  LlamaWeights weights;
  weights.shape = shape;
  weights.embedding = layout.begin<Half>();
  layout.matrix("model.embed_tokens.weight", shape.vocab, shape.hidden);
  for (int i = 0; i < shape.layers; ++i) weights.layers.push_back(lay_out_layer(shape, i, layout));
  weights.final_norm = layout.begin<float>();
  layout.norm("model.norm.weight", shape.hidden);
  weights.output = weights.embedding;
  if (!shape.tied_embeddings) {
    weights.output = layout.begin<Half>();
    layout.matrix("lm_head.weight", shape.vocab, shape.hidden);
  }
  layout.begin<Half>();  // rounds the end up
  weights.bytes = layout.used();
  return weights;
}

LlamaWeights allocate_and_lay_out(const ModelShape& shape, const WeightAllocator& allocate,
                                  std::vector<Slot>& slots) {
  std::byte* base = allocate(llama_weight_bytes(shape));
  HG_CHECK(base != nullptr && reinterpret_cast<std::uintptr_t>(base) % kWeightAlignment == 0,
           "the weight allocator returned " << static_cast<void*>(base));
  Layout layout(base);
  LlamaWeights weights = lay_out(shape, layout);
  slots = layout.slots();
  return weights;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::ostringstream text;
  text << "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text << (i ? ", " : "") << shape[i];
  text << "]";
  return text.str();
}

// `count` elements from `first` on as fp32; file data may be unaligned.
void read_elements(const TensorView& tensor, std::int64_t first, std::int64_t count, float* out) {
  const auto n = static_cast<std::size_t>(count);
  if (tensor.type == TensorType::f32) {
    std::memcpy(out, tensor.data + first * 4, n * 4);
    return;
  }
  std::uint16_t raw[1024];
  HG_CHECK(n <= std::size(raw), "chunk of " << n);
  std::memcpy(raw, tensor.data + first * 2, n * 2);
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = tensor.type == TensorType::f16 ? kernels::to_float(Half{raw[i]})
                                            : std::bit_cast<float>(static_cast<std::uint32_t>(raw[i]) << 16);
  }
}

// Copies one tensor to its place; false if a value does not survive the target's type.
bool copy_tensor(const TensorView& tensor, const Slot& slot) {
  constexpr std::int64_t kChunk = 1024;
  constexpr float kHalfMax = 65504.0f;
  float buffer[kChunk];
  const float limit = slot.is_norm ? std::numeric_limits<float>::max() : kHalfMax;
  for (std::int64_t i = 0; i < slot.elements(); i += kChunk) {
    const std::int64_t count = std::min(kChunk, slot.elements() - i);
    read_elements(tensor, i, count, buffer);
    if (!std::all_of(buffer, buffer + count, [&](float x) { return std::abs(x) <= limit; })) return false;
    if (slot.is_norm) {
      std::memcpy(slot.target + i * 4, buffer, static_cast<std::size_t>(count) * 4);
    } else {
      kernels::convert(buffer, reinterpret_cast<Half*>(slot.target) + i, count);
    }
  }
  return true;
}

// SplitMix64: a few instructions per number, good enough for weights that nobody interprets.
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// Uniform with standard deviation 1/sqrt(columns): activations keep their size from layer to layer.
void fill_random(const Slot& slot, std::uint64_t& state) {
  const float range = std::sqrt(3.0f / static_cast<float>(slot.shape.back()));
  auto* target = reinterpret_cast<Half*>(slot.target);
  constexpr std::int64_t kChunk = 1024;
  float buffer[kChunk];
  for (std::int64_t i = 0; i < slot.elements(); i += kChunk) {
    const std::int64_t count = std::min(kChunk, slot.elements() - i);
    for (std::int64_t j = 0; j < count; ++j) {
      const auto bits = static_cast<std::int32_t>(next_random(state) >> 32);
      buffer[j] = static_cast<float>(bits) * (range / 2147483648.0f);
    }
    kernels::convert(buffer, target + i, count);
  }
}

}  // namespace

Bytes llama_weight_bytes(const ModelShape& shape) {
  Layout layout(nullptr);
  return lay_out(shape, layout).bytes;
}

LlamaWeights llama_weights_at(const ModelShape& shape, std::byte* base) {
  Layout layout(base);
  return lay_out(shape, layout);
}

LlamaWeights load_llama_weights(const ModelShape& shape, const TensorLookup& lookup,
                                const WeightAllocator& allocate) {
  Layout plan(nullptr);
  lay_out(shape, plan);
  std::string errors;
  std::vector<TensorView> found;
  for (const Slot& slot : plan.slots()) {
    const std::optional<TensorView> tensor = lookup(slot.name);
    if (!tensor) {
      errors += "\n  " + slot.name + ": missing";
    } else if (tensor->shape != slot.shape) {
      errors += "\n  " + slot.name + ": shape " + shape_text(tensor->shape) +
                ", but the configuration needs " + shape_text(slot.shape);
    }
    found.push_back(tensor.value_or(TensorView{}));
  }
  const std::string remedy = "\ndo the configuration and the weights belong to the same Llama model?";
  if (!errors.empty()) throw BadInput("weights of " + shape.name + ":" + errors + remedy);

  std::vector<Slot> slots;
  LlamaWeights weights = allocate_and_lay_out(shape, allocate, slots);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (!copy_tensor(found[i], slots[i]))
      errors += "\n  " + slots[i].name + ": a value beyond 65504 or not finite";
  }
  if (!errors.empty()) throw BadInput("weights of " + shape.name + " cannot be held in fp16:" + errors);
  return weights;
}

LlamaWeights dummy_weights(const ModelShape& shape, std::uint64_t seed, const WeightAllocator& allocate) {
  std::vector<Slot> slots;
  LlamaWeights weights = allocate_and_lay_out(shape, allocate, slots);
  std::uint64_t state = seed;
  for (const Slot& slot : slots) {
    if (slot.is_norm) {
      std::fill_n(reinterpret_cast<float*>(slot.target), slot.elements(), 1.0f);
    } else {
      fill_random(slot, state);
    }
  }
  return weights;
}

}  // namespace hybridgen
