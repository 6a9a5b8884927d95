// Norms each head of q and k where the model does, turns them to their positions and writes k and v into the
// KV store: one pass over qkv.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct RopeStoreArgs {
  const StepParams* step = nullptr;
  const RowParams* rows = nullptr;
  const KvStore* stores = nullptr;  // by slot: of the op's layer and place; null where there is only q
  HeadShape heads;
  KvType kv_type = KvType::f16;
  float* qkv = nullptr;  // [query token][(query_heads + 2 kv_heads) * head_dim]; q is turned in place
  const float* cosine = nullptr;  // [query token][head_dim / 2]; null: positions are learned, nothing turns
  const float* sine = nullptr;
  const float* q_norm = nullptr;  // [head_dim], of an RMS norm over each head; null: none
  const float* k_norm = nullptr;
  float eps = 0;                       // of that norm
  const std::int32_t* next = nullptr;  // [slot][kv_heads]: slots of kept rows; null: positions decide
};
void rope_store(const RopeStoreArgs& args, std::int64_t query_tokens, cudaStream_t stream);

}  // namespace hybridgen::cuda
