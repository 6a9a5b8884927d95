#include "runtime/weights/model_weights.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>
#include <string_view>
#include <thread>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/half.hpp"
#include "runtime/weights/tensor_names.hpp"

namespace hybridgen {
namespace {

using kernels::Half;

enum class SlotKind { matrix, norm, bias };  // a matrix becomes fp16, the others stay fp32

// One tensor of the file and where it goes.
struct Slot {
  std::string name;
  std::vector<std::int64_t> shape;
  SlotKind kind = SlotKind::matrix;
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

  // Appends rows from the tensor `stem`.weight to it.
  void matrix(const std::string& stem, std::int64_t rows, std::int64_t cols) {
    append({stem + ".weight", {rows, cols}, SlotKind::matrix, nullptr}, sizeof(Half));
  }
  // Starts a new tensor with the elements of one of the file.
  const float* norm(const std::string& name, std::int64_t n) {
    const auto* at = begin<float>();
    append({name, {n}, SlotKind::norm, nullptr}, sizeof(float));
    return at;
  }
  void bias(const std::string& stem, std::int64_t n) {
    append({stem + ".bias", {n}, SlotKind::bias, nullptr}, sizeof(float));
  }

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

// One matrix of a fused product: the rows of one tensor of the file.
struct Rows {
  std::string stem;
  std::int64_t count = 0;
};

ProductWeights lay_out_product(const std::vector<Rows>& parts, std::int64_t cols, bool with_bias,
                               Layout& layout) {
  ProductWeights product;
  product.matrix = layout.begin<Half>();
  for (const Rows& part : parts) layout.matrix(part.stem, part.count, cols);
  if (!with_bias) return product;
  product.bias = layout.begin<float>();
  for (const Rows& part : parts) layout.bias(part.stem, part.count);
  return product;
}

NormWeights lay_out_norm(const std::string& stem, const ModelShape& shape, Layout& layout) {
  NormWeights norm;
  norm.weight = layout.norm(stem + ".weight", shape.hidden);
  if (shape.blocks.norm == NormKind::layer) {
    norm.bias = layout.begin<float>();
    layout.bias(stem, shape.hidden);
  }
  return norm;
}

LayerWeights lay_out_layer(const ModelShape& shape, int index, Layout& layout) {
  const TensorNames& names = tensor_names(shape.blocks.family);
  const std::string prefix = std::string(names.layer) + "." + std::to_string(index) + ".";
  const ModelBlocks& blocks = shape.blocks;
  LayerWeights layer;
  layer.attention_norm = lay_out_norm(prefix + names.attention_norm, shape, layout);
  layer.qkv = lay_out_product({{prefix + names.q, shape.q_width()},
                               {prefix + names.k, shape.kv_width()},
                               {prefix + names.v, shape.kv_width()}},
                              shape.hidden, blocks.qkv_bias, layout);
  if (blocks.qk_norm) {
    layer.q_norm = layout.norm(prefix + names.q_norm + ".weight", shape.head_dim);
    layer.k_norm = layout.norm(prefix + names.k_norm + ".weight", shape.head_dim);
  }
  layer.attention_out =
      lay_out_product({{prefix + names.out, shape.hidden}}, shape.q_width(), blocks.out_bias, layout);
  layer.ffn_norm = lay_out_norm(prefix + names.ffn_norm, shape, layout);
  std::vector<Rows> in;
  if (blocks.ffn == FfnKind::swiglu) in.push_back({prefix + names.gate, shape.ffn});
  in.push_back({prefix + names.up, shape.ffn});
  layer.ffn_in = lay_out_product(in, shape.hidden, blocks.ffn_bias, layout);
  layer.down = lay_out_product({{prefix + names.down, shape.hidden}}, shape.ffn, blocks.ffn_bias, layout);
  return layer;
}

ModelWeights lay_out(const ModelShape& shape, Layout& layout) {
  const TensorNames& names = tensor_names(shape.blocks.family);
  ModelWeights weights;
  weights.shape = shape;
  weights.embedding = layout.begin<Half>();
  layout.matrix(names.embedding, shape.vocab, shape.hidden);
  if (shape.position_rows() > 0) {
    weights.positions = layout.begin<Half>();
    layout.matrix(names.positions, shape.position_rows(), shape.hidden);
  }
  for (int i = 0; i < shape.layers; ++i) weights.layers.push_back(lay_out_layer(shape, i, layout));
  weights.final_norm = lay_out_norm(names.final_norm, shape, layout);
  weights.output = weights.embedding;
  if (!shape.tied_embeddings) {
    weights.output = layout.begin<Half>();
    layout.matrix(names.output, shape.vocab, shape.hidden);
  }
  layout.begin<Half>();  // rounds the end up
  weights.bytes = layout.used();
  return weights;
}

ModelWeights allocate_and_lay_out(const ModelShape& shape, const WeightAllocator& allocate,
                                  std::vector<Slot>& slots) {
  std::byte* base = allocate(allocated_weight_bytes(shape));
  HG_CHECK(base != nullptr && reinterpret_cast<std::uintptr_t>(base) % kWeightAlignment == 0,
           "the weight allocator returned " << static_cast<void*>(base));
  Layout layout(base);
  ModelWeights weights = lay_out(shape, layout);
  slots = layout.slots();
  return weights;
}

// By its name, or by the name it has in a file of the model without its head.
std::optional<TensorView> find_tensor(const TensorLookup& lookup, const std::string& name) {
  constexpr std::string_view kPrefix = "model.";
  std::optional<TensorView> tensor = lookup(name);
  if (!tensor && name.starts_with(kPrefix)) tensor = lookup(name.substr(kPrefix.size()));
  return tensor;
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
  const float limit = slot.kind == SlotKind::matrix ? kHalfMax : std::numeric_limits<float>::max();
  for (std::int64_t i = 0; i < slot.elements(); i += kChunk) {
    const std::int64_t count = std::min(kChunk, slot.elements() - i);
    read_elements(tensor, i, count, buffer);
    if (!std::all_of(buffer, buffer + count, [&](float x) { return std::abs(x) <= limit; })) return false;
    if (slot.kind != SlotKind::matrix) {
      std::memcpy(slot.target + i * 4, buffer, static_cast<std::size_t>(count) * 4);
    } else {
      kernels::convert(buffer, reinterpret_cast<Half*>(slot.target) + i, count);
    }
  }
  return true;
}

// SplitMix64: a few instructions per number, good enough for weights that nobody interprets.
constexpr std::uint64_t kRandomStep = 0x9e3779b97f4a7c15u;

std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = state += kRandomStep;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// Elements [begin, begin + count) of a slot; state: before the first of them.
void fill_chunk(const Slot& slot, std::uint64_t state, std::int64_t begin, std::int64_t count, float range) {
  constexpr std::int64_t kChunk = 1024;
  float buffer[kChunk];
  for (std::int64_t i = begin; i < begin + count; i += kChunk) {
    const std::int64_t now = std::min(kChunk, begin + count - i);
    for (std::int64_t j = 0; j < now; ++j) {
      const auto bits = static_cast<std::int32_t>(next_random(state) >> 32);
      buffer[j] = static_cast<float>(bits) * (range / 2147483648.0f);
    }
    if (slot.kind == SlotKind::matrix) {
      kernels::convert(buffer, reinterpret_cast<Half*>(slot.target) + i, now);
    } else {
      std::memcpy(slot.target + i * 4, buffer, static_cast<std::size_t>(now) * 4);
    }
  }
}

// Uniform with standard deviation 1/sqrt(columns): activations keep their size from layer to layer. Biases
// get the same as if they were a column. The generator counts: any part of a slot can be drawn by itself, so
// that threads share a large one out and the values are the same for any number of them.
void fill_random(const Slot& slot, std::uint64_t& state) {
  const float range = std::sqrt(3.0f / static_cast<float>(slot.shape.back()));
  constexpr std::int64_t kShare = 4 << 20;  // elements worth a thread
  const std::int64_t elements = slot.elements();
  const std::int64_t threads =
      std::clamp<std::int64_t>(elements / kShare, 1, std::max(1U, std::thread::hardware_concurrency()));
  const auto fill = [&, before = state](std::int64_t t) {
    const std::int64_t begin = elements * t / threads;
    const std::int64_t end = elements * (t + 1) / threads;
    fill_chunk(slot, before + static_cast<std::uint64_t>(begin) * kRandomStep, begin, end - begin, range);
  };
  std::vector<std::thread> workers;
  for (std::int64_t t = 1; t < threads; ++t) workers.emplace_back(fill, t);
  fill(0);
  for (std::thread& worker : workers) worker.join();
  state += static_cast<std::uint64_t>(elements) * kRandomStep;
}

}  // namespace

Bytes allocated_weight_bytes(const ModelShape& shape) {
  Layout layout(nullptr);
  return lay_out(shape, layout).bytes;
}

ModelWeights weights_at(const ModelShape& shape, std::byte* base) {
  Layout layout(base);
  return lay_out(shape, layout);
}

ModelWeights load_weights(const ModelShape& shape, const TensorLookup& lookup,
                          const WeightAllocator& allocate) {
  Layout plan(nullptr);
  lay_out(shape, plan);
  std::string errors;
  std::vector<TensorView> found;
  for (const Slot& slot : plan.slots()) {
    const std::optional<TensorView> tensor = find_tensor(lookup, slot.name);
    if (!tensor) {
      errors += "\n  " + slot.name + ": missing";
    } else if (tensor->shape != slot.shape) {
      errors += "\n  " + slot.name + ": shape " + shape_text(tensor->shape) +
                ", but the configuration needs " + shape_text(slot.shape);
    }
    found.push_back(tensor.value_or(TensorView{}));
  }
  const std::string remedy =
      "\ndo the configuration and the weights belong to the same model, and is the download complete?";
  if (!errors.empty()) throw BadInput("weights of " + shape.name + ":" + errors + remedy);

  std::vector<Slot> slots;
  ModelWeights weights = allocate_and_lay_out(shape, allocate, slots);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (!copy_tensor(found[i], slots[i]))
      errors += "\n  " + slots[i].name + ": a value beyond 65504 or not finite";
  }
  if (!errors.empty()) throw BadInput("weights of " + shape.name + " cannot be held in fp16:" + errors);
  return weights;
}

ModelWeights dummy_weights(const ModelShape& shape, std::uint64_t seed, const WeightAllocator& allocate) {
  std::vector<Slot> slots;
  ModelWeights weights = allocate_and_lay_out(shape, allocate, slots);
  std::uint64_t state = seed;
  for (const Slot& slot : slots) {
    if (slot.kind == SlotKind::norm) {
      std::fill_n(reinterpret_cast<float*>(slot.target), slot.elements(), 1.0f);
    } else {
      fill_random(slot, state);
    }
  }
  return weights;
}

std::vector<std::int32_t> dummy_tokens(std::int64_t count, int vocab, std::uint64_t seed) {
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i) {
    ids.push_back(static_cast<std::int32_t>(next_random(seed) % static_cast<std::uint64_t>(vocab)));
  }
  return ids;
}

}  // namespace hybridgen
