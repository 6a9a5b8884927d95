// Bulk conversions of fp16 and bf16 from and to fp32 (round to nearest even; overflow becomes infinity). Any
// length, any alignment; source and target must not overlap. Called for new KV rows, embeddings, blocks of
// weights.
#pragma once

#include <cstdint>

#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::kernels {

void convert(const Half* from, float* to, std::int64_t count);
void convert(const float* from, Half* to, std::int64_t count);
void convert(const Bfloat* from, float* to, std::int64_t count);
void convert(const float* from, Bfloat* to, std::int64_t count);

// One row of an fp16 embedding [vocab][hidden] as fp32: out[hidden].
inline void embed_row(const Half* embedding, std::int64_t token, std::int64_t hidden, float* out) {
  convert(embedding + token * hidden, out, hidden);
}

// `rows` KV rows of any type to fp32, and fp32 values into rows of any type. An int8 row's scale is its
// largest size over 127, its integers are the nearest, ties to even: no value is off by more than half the
// scale. A row with nothing above 2^-100 becomes zeros, one with an infinity or a NaN gets a scale of NaN.
void load_rows(KvType type, int head_dim, const void* from, float* to, std::int64_t rows);
void store_rows(KvType type, int head_dim, const float* from, void* to, std::int64_t rows);

}  // namespace hybridgen::kernels
