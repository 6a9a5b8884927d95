// logits, weighted_v and weighted_v_at of attend.hpp over int8 rows; called through these. 256-bit vectors
// with AVX-512, too: with half the bytes of fp16 a core's memory sets the pace of one head either way.
#pragma once

#include <cstdint>

namespace hybridgen::kernels {

// Sums of integers, which are the same on every instruction set: q enters with 16 bits, that is, off by at
// most 1/65534 of its largest element. head_dim <= 512: more could overflow a sum.
void logits_int8(const float* q, int group, int head_dim, const void* k, std::int64_t rows, float scale,
                 float* scores, std::int64_t stride);
void weighted_v_int8(const float* p, std::int64_t stride, int group, int head_dim, const void* v,
                     std::int64_t rows, float* out);
void weighted_v_at_int8(const float* p, const std::int32_t* index, std::int64_t count, int head_dim,
                        const void* v, float* out);

}  // namespace hybridgen::kernels
