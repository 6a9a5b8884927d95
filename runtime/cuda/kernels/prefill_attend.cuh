// Causal attention of many query tokens of one request in one layer: tiles of K and V in shared memory, a
// running softmax per query. fp16 KV goes to tensor cores (prefill_tensor.cuh); fp32 KV, which is for
// exactness and not for speed, and bf16 KV to plain fp32 sums here.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct PrefillAttendArgs {
  const OpParams* op = nullptr;  // rows: the newest op->tokens of op->context; queries: op->query_tokens
  KvStore kv;
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* q = nullptr;  // [query token][q_stride], turned; the request's first query token
  std::int64_t q_stride = 0;
  float scale = 0;       // 1 / sqrt(head_dim)
  float* out = nullptr;  // [query token][query_heads * head_dim]
};
// query_tokens: op->query_tokens, for the number of blocks.
void prefill_attend(const PrefillAttendArgs& args, std::int64_t query_tokens, cudaStream_t stream);

}  // namespace hybridgen::cuda
