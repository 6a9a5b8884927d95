// The weights of a Llama-architecture model as the kernels read them: matrices fp16 row-major [out][in],
// norms fp32, all in one allocation, every tensor aligned to 64 bytes. Rows of q, k, v lie behind each other,
// as do gate and up: one gemv computes them together. Loaded once at start-up; read-only afterwards.
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

struct LlamaLayer {
  const float* attention_norm = nullptr;  // [hidden]
  const kernels::Half* qkv = nullptr;     // [(query_heads + 2 kv_heads) * head_dim][hidden], q rows first
  const kernels::Half* attention_out = nullptr;  // [hidden][query_heads * head_dim]
  const float* ffn_norm = nullptr;               // [hidden]
  const kernels::Half* gate_up = nullptr;        // [2 ffn][hidden], gate rows first
  const kernels::Half* down = nullptr;           // [hidden][ffn]
};

// Views into memory that the caller's allocator owns.
struct LlamaWeights {
  ModelShape shape;
  const kernels::Half* embedding = nullptr;  // [vocab][hidden]
  const kernels::Half* output = nullptr;     // [vocab][hidden]; the embedding itself where they are tied
  const float* final_norm = nullptr;         // [hidden]
  std::vector<LlamaLayer> layers;
  Bytes bytes = 0;  // of the allocation
};

// The views of weights whose bytes begin at `base`, which may be memory of a GPU; nothing is read or written.
LlamaWeights llama_weights_at(const ModelShape& shape, std::byte* base);

// Finds a tensor by its Hugging Face name; nullopt when there is none.
using TensorLookup = std::function<std::optional<TensorView>(const std::string& name)>;

// Gives memory of this size, aligned to kWeightAlignment, that outlives the weights. Called exactly once.
using WeightAllocator = std::function<std::byte*(Bytes bytes)>;

inline constexpr Bytes kWeightAlignment = 64;

// What the allocator will be asked for.
Bytes llama_weight_bytes(const ModelShape& shape);

// Copies and converts every tensor. Throws BadInput naming all tensors that are missing, of a wrong shape, or
// hold a value that fp16 cannot (beyond 65504 or not finite).
LlamaWeights load_llama_weights(const ModelShape& shape, const TensorLookup& lookup,
                                const WeightAllocator& allocate);

// Random weights of a realistic size, the same for equal shape and seed: for timing, where no model is at
// hand.
LlamaWeights dummy_weights(const ModelShape& shape, std::uint64_t seed, const WeightAllocator& allocate);

}  // namespace hybridgen
