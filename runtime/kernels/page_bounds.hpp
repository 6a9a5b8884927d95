// Bounds of pages of K: per page and KV head a row of 2 x head_dim, the least of every channel behind one
// another and then the largest, in the KV's own type, so that they are exact; of int8 rows in fp16, which is
// the nearest to what the rows stand for that fp16 has. No allocation, no threads.
#pragma once

#include <cstdint>

#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::kernels {

constexpr KvType bounds_type(KvType type) {
  return type == KvType::int8 ? KvType::f16 : type;
}

// Floats of scratch that both need.
constexpr std::int64_t page_scratch(int group, int head_dim) {
  return (2 * group + 3) * static_cast<std::int64_t>(head_dim);
}

// The page's bounds over `rows` further rows of K (at least one); fresh: over these alone.
void extend_page(KvType type, int head_dim, const void* k, std::int64_t rows, bool fresh, float* scratch,
                 void* page);

// bounds[g * stride + p] = sum over channels of max(q x least, q x largest), for g < group and p < pages: no
// row of the page has a larger q.k, but for rounding.
void page_scores(KvType type, const float* q, int group, int head_dim, const void* pages, std::int64_t count,
                 float* scratch, float* bounds, std::int64_t stride);

}  // namespace hybridgen::kernels
