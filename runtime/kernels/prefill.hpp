// Causal attention of many query tokens at once, for the G query heads that share one KV head. Blocked with a
// running softmax, so scratch does not grow with the context; products by sgemm on fp32 copies of the blocks.
// Called by a lane thread per KV head (or per range of query tokens); no allocation, no threads.
#pragma once

#include <cstdint>

#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::kernels {

inline constexpr std::int64_t kPrefillQueries = 64;  // query tokens of a block
inline constexpr std::int64_t kPrefillRows = 256;    // KV rows of a block

// Floats of scratch that prefill needs.
constexpr std::int64_t prefill_scratch(int group, int head_dim) {
  const std::int64_t heads = kPrefillQueries * group;
  return 2 * kPrefillRows * head_dim + heads * (kPrefillRows + 2 * head_dim + 2);
}

// The spans hold the KV of positions 0, 1, 2, ... in order; query token t (t < query_tokens) stands at
// position first_position + t and sees the rows up to and including its own, which must be there. q[t *
// q_stride + g * head_dim + d] (rotated), out[t * out_stride + g * head_dim + d]; scale is 1/sqrt(head_dim).
void prefill(KvType type, const float* q, std::int64_t q_stride, std::int64_t query_tokens,
             std::int64_t first_position, int group, int head_dim, const KvSpan* spans, int span_count,
             float scale, float* scratch, float* out, std::int64_t out_stride);

}  // namespace hybridgen::kernels
