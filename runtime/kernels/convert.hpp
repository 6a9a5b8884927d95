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

// KV rows of any type to fp32, and fp32 values into a KV segment of any type.
void load_rows(KvType type, const void* from, float* to, std::int64_t elements);
void store_rows(KvType type, const float* from, void* to, std::int64_t elements);

}  // namespace hybridgen::kernels
