// Choosing host rows on the card by a few columns of the skewed K (runtime/host/partial_ops.cpp): which
// columns count, where new rows go in the host's pool, and which rows a predicted query wants.
#pragma once

#include "core/residency/pool_eviction.hpp"
#include "runtime/cuda/kernels/launch.cuh"
#include "runtime/cuda/kernels/partial_store.cuh"

namespace hybridgen::cuda {

// A prompt chooses the columns; then every new row gets its slot in the pool, and its partial K there.
struct PartialKeysArgs {
  const OpParams* op = nullptr;  // tokens op->first_token .. + op->tokens - 1
  bool prompt = false;           // they are a prompt's, whose rows all find room
  PartialStore store;
  KvStore kv;  // staging: position p lies in slot p; v is not read
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* q = nullptr;  // [token][q_stride], turned; of a prompt
  std::int64_t q_stride = 0;
  const float* skew = nullptr;   // [kv_head][head_dim][head_dim], column by column; null: none
  double* weights = nullptr;     // [kv_head][head_dim], workspace
  std::int64_t pool_tokens = 0;  // rows of a KV head that may stay; 0: all
  PoolEviction evict = PoolEviction::counter;
};
void partial_keys(const PartialKeysArgs& args, int blocks, cudaStream_t stream);

// As many rows of every query head as lie within alpha of its largest score on average, at most
// op->rows_per_head, from the first op->tokens slots: their slots, ascending. Of equal scores the lower slot.
struct PartialSelectArgs {
  const OpParams* op = nullptr;  // op->first_token: the position of the token that reads the rows
  PartialStore store;
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* predicted = nullptr;  // [query_heads][head_dim], turned
  float scale = 0;                   // 1 / sqrt(head_dim)
  float alpha = 0;
  int splits = 1;
  float* skewed = nullptr;         // [query_heads][width], workspace
  float* scores = nullptr;         // [query_heads][slots], workspace
  unsigned* passing = nullptr;     // workspace
  std::int32_t* chosen = nullptr;  // [query_heads][stride]
  std::int64_t stride = 0;
  std::int32_t* count = nullptr;  // rows per query head
};
void partial_select(const PartialSelectArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
