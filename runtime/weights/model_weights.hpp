// The weights of a model as the kernels read them: matrices and tables fp16 row-major [out][in], vectors
// (norms, biases) fp32, all in one allocation, every tensor aligned to 64 bytes. Rows of q, k, v lie behind
// each other, as do gate and up: one gemv computes them together. Loaded once at start-up; read-only
// afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/units.hpp"
#include "core/machine/model_shape.hpp"
#include "runtime/kernels/kv_type.hpp"

namespace hybridgen {

enum class TensorType { f16, bf16, f32 };

// A tensor somewhere in memory, row-major without padding; not owned. Any alignment.
struct TensorView {
  TensorType type = TensorType::f16;
  std::vector<std::int64_t> shape;
  const std::byte* data = nullptr;
};

// A product's matrix [out][in] and its bias [out], null where the model has none.
struct ProductWeights {
  const kernels::Half* matrix = nullptr;
  const float* bias = nullptr;
};

// bias: null for an RMS norm.
struct NormWeights {
  const float* weight = nullptr;
  const float* bias = nullptr;
};

// What is added to a layer's q projection where its input is the one of the layer before: up (down x). Null
// where nothing was fitted.
struct PredictorWeights {
  const kernels::Half* down = nullptr;  // [rank][hidden]
  const kernels::Half* up = nullptr;    // [query_heads * head_dim][rank]
};

struct LayerWeights {
  NormWeights attention_norm;     // [hidden]
  ProductWeights qkv;             // [(query_heads + 2 kv_heads) * head_dim][hidden], q rows first
  const float* q_norm = nullptr;  // [head_dim]; null where heads are not normed, as is
  const float* k_norm = nullptr;  // [head_dim]
  ProductWeights attention_out;   // [hidden][query_heads * head_dim]
  NormWeights ffn_norm;           // [hidden]
  ProductWeights ffn_in;          // [ffn_in_width][hidden], gate rows before up rows
  ProductWeights down;            // [hidden][ffn]
  PredictorWeights predictor;     // not of the model's own files
  const float* skew = nullptr;    // [kv_heads][head_dim][head_dim], column by column; not of them either
};

// Views into memory that the caller's allocator owns.
struct ModelWeights {
  ModelShape shape;
  const kernels::Half* embedding = nullptr;  // [vocab][hidden]
  const kernels::Half* positions = nullptr;  // [position_rows][hidden]; null where positions are computed
  const kernels::Half* output = nullptr;     // [vocab][hidden]; the embedding itself where they are tied
  NormWeights final_norm;                    // [hidden]
  std::vector<LayerWeights> layers;
  Bytes bytes = 0;  // of the allocation
};

// The views of weights whose bytes begin at `base`, which may be memory of a GPU; nothing is read or written.
ModelWeights weights_at(const ModelShape& shape, std::byte* base);

// Finds a tensor by its Hugging Face name; nullopt when there is none.
using TensorLookup = std::function<std::optional<TensorView>(const std::string& name)>;

// Gives memory of this size, aligned to kWeightAlignment, that outlives the weights. Called exactly once.
using WeightAllocator = std::function<std::byte*(Bytes bytes)>;

inline constexpr Bytes kWeightAlignment = 64;

// What the allocator will be asked for: the shape's weight_bytes and the gaps of alignment.
Bytes allocated_weight_bytes(const ModelShape& shape);

// Copies and converts every tensor. A name that begins with "model." may lack that in the file, as in files
// written from the model without its head. Throws BadInput naming all tensors that are missing, of a wrong
// shape, or hold a value that fp16 cannot (beyond 65504 or not finite).
ModelWeights load_weights(const ModelShape& shape, const TensorLookup& lookup,
                          const WeightAllocator& allocate);

// Random weights of a realistic size, the same for equal shape and seed: for timing, where no model is at
// hand.
ModelWeights dummy_weights(const ModelShape& shape, std::uint64_t seed, const WeightAllocator& allocate);

// Token ids to go with them: no tokenizer, no text.
std::vector<std::int32_t> dummy_tokens(std::int64_t count, int vocab, std::uint64_t seed);

}  // namespace hybridgen
