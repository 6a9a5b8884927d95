// Rows that the card asks the host for: the choice on its way down, the new token's rows into the host's
// pool, and attention over what came up.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"
#include "runtime/cuda/kernels/partials.hpp"

namespace hybridgen::cuda {

struct SendChoiceArgs {
  const std::int32_t* count = nullptr;   // rows per query head, on the card
  const std::int32_t* chosen = nullptr;  // [query_heads][stride]
  std::int64_t stride = 0;
  int heads = 0;
  std::int32_t* host_count = nullptr;  // mapped
  std::int32_t* host_rows = nullptr;   // mapped, as chosen
};
void send_choice(const SendChoiceArgs& args, int blocks, cudaStream_t stream);

// The row of op->first_token, K and V, to the slot that each KV head has for it.
struct PoolRowArgs {
  const OpParams* op = nullptr;
  KvStore from;                          // staging: position p lies in slot p
  KvStore to;                            // mapped
  const std::int32_t* newest = nullptr;  // [kv_head]
  int kv_heads = 0;
  int row_bytes = 0;  // a multiple of 16
};
void pool_row(const PoolRowArgs& args, cudaStream_t stream);

// Each query head over its own packed rows and the row of op->first_token.
struct AttendFetchedArgs {
  const OpParams* op = nullptr;
  const std::int32_t* count = nullptr;     // packed rows per query head, on the card
  const std::byte* packed_keys = nullptr;  // [query_head][count][head_dim]
  const std::byte* packed_values = nullptr;
  KvStore kv;  // staging
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* q = nullptr;  // [query_heads][head_dim], turned
  float scale = 0;           // 1 / sqrt(head_dim)
  PartialSpace space;        // arrived: by query head
  int splits = 1;
  float* out = nullptr;  // [query_heads][head_dim]
};
void attend_fetched(const AttendFetchedArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
