// Decode attention for the G query heads that share one KV head (grouped-query attention). All results fp32;
// K and V rows fp16, bf16, fp32 or int8; head_dim a multiple of 16, G >= 1. Beside int8 rows logits round q
// to 16 bits, and head_dim is at most 512 (attend_int8.hpp). No allocation, no threads: the caller partitions
// by KV head or by rows and passes scratch. Rows of a ring buffer come as up to two spans in token order.
// Where the tile unit multiplies (Isa::amx; fp16 and bf16 rows of head dims 64 and 128, up to 8 heads), q and
// the weights of V enter with 16 to 17 bits: an answer may be off by 2^-18 of the sum of its products' sizes,
// beside what summing in fp32 costs.
#pragma once

#include <cstdint>

#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::kernels {

// That part of an answer's error, of the variant in use, given the sum of its products' sizes; 0 where the
// tile unit has no part in it.
double tile_unit_error(KvType type, double sizes);

// scores[g * stride + n] = scale * sum_d q[g * head_dim + d] * K[n][d] for g < group, n < rows.
// Further spans go behind it: call again with scores + rows. `scale` is 1/sqrt(head_dim) for Llama.
void logits(KvType type, const float* q, int group, int head_dim, const void* k, std::int64_t rows,
            float scale, float* scores, std::int64_t stride);

// out[g * head_dim + d] += sum_n p[g * stride + n] * V[n][d]. Accumulates: the caller zeroes out first.
void weighted_v(KvType type, const float* p, std::int64_t stride, int group, int head_dim, const void* v,
                std::int64_t rows, float* out);

// The same for one head and a gathered choice of rows: out[d] += sum_j p[j] * V[index[j]][d].
void weighted_v_at(KvType type, const float* p, const std::int32_t* index, std::int64_t count, int head_dim,
                   const void* v, float* out);

// Between the scores of two heads: rows at a power of two would share their sets of the first-level cache.
inline constexpr std::int64_t kScorePad = 16;

// Floats of scratch that attend needs.
constexpr std::int64_t attend_scratch(int group, std::int64_t rows) {
  return group * (rows + kScorePad + 1);
}

// out[g] = softmax(scale * q[g] . K) V over all rows of all spans. Two passes: logits into scratch, softmax,
// sum. lse, if not null, receives the log-sum-exp of each head: what merge_partials needs to join it with
// attention over other rows. With no rows at all out is 0 and lse is -infinity.
void attend(KvType type, const float* q, int group, int head_dim, const KvSpan* spans, int span_count,
            float scale, float* scratch, float* out, float* lse);

// Joins attention over two disjoint sets of rows: (out, lse) becomes attention over both. [group][head_dim].
void merge_partials(int group, int head_dim, float* out, float* lse, const float* other_out,
                    const float* other_lse);

// What the host contributes for one query head: logits of its chosen rows (overwritten) and their V, packed.
struct HostRows {
  float* scores = nullptr;
  const void* v = nullptr;
  std::int64_t count = 0;
};

// Logit-parallel attention: ONE softmax per head over the device logits (from `logits`, rows of all V spans
// in order, overwritten) and the host's, then the weighted sum of both sets of V rows. host[g] belongs to
// query head g; all counts may be 0 as long as a head has one row somewhere. lse may be null. Heads whose
// host rows are the same V and whose scores lie behind each other are summed together: each row is read once.
void joint_attend(KvType type, int group, int head_dim, const RowSpan* v_spans, int span_count,
                  float* device_scores, std::int64_t stride, const HostRows* host, float* out, float* lse);

}  // namespace hybridgen::kernels
