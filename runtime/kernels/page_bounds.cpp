#include "runtime/kernels/page_bounds.hpp"

#include <algorithm>

#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/convert.hpp"

namespace hybridgen::kernels {

namespace {
constexpr float kMostHalf = 65504;  // the largest of fp16
}  // namespace

void extend_page(KvType type, int head_dim, const void* k, std::int64_t rows, bool fresh, float* scratch,
                 void* page) {
  float* least = scratch;
  float* largest = scratch + head_dim;
  float* row = scratch + 2 * head_dim;
  std::int64_t next = 0;
  if (fresh) {
    load_rows(type, head_dim, k, least, 1);
    std::copy_n(least, head_dim, largest);
    next = 1;
  } else {
    load_rows(bounds_type(type), 2 * head_dim, page, least, 1);
  }
  for (; next < rows; ++next) {
    load_rows(type, head_dim, row_at(k, type, head_dim, next), row, 1);
    for (int d = 0; d < head_dim; ++d) {
      least[d] = std::min(least[d], row[d]);
      largest[d] = std::max(largest[d], row[d]);
    }
  }
  if (bounds_type(type) !=
      type) {  // beyond the range of fp16 the nearest is its end, or 0 x bound is no number
    for (int d = 0; d < 2 * head_dim; ++d) scratch[d] = std::clamp(scratch[d], -kMostHalf, kMostHalf);
  }
  store_rows(bounds_type(type), 2 * head_dim, least, page, 1);
}

// A channel's larger product is with its least where q is negative, else with its largest: the bound is one
// dot product of twice the width.
void page_scores(KvType type, const float* q, int group, int head_dim, const void* pages, std::int64_t count,
                 float* scratch, float* bounds, std::int64_t stride) {
  for (int g = 0; g < group; ++g) {
    for (int d = 0; d < head_dim; ++d) {
      const float value = q[g * head_dim + d];
      scratch[2 * g * head_dim + d] = std::min(value, 0.0F);
      scratch[(2 * g + 1) * head_dim + d] = std::max(value, 0.0F);
    }
  }
  logits(bounds_type(type), scratch, group, 2 * head_dim, pages, count, 1.0F, bounds, stride);
}

}  // namespace hybridgen::kernels
