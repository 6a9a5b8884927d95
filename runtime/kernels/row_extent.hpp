// What rounding a row to integers has to know of it first. Included by the kernels of int8 rows only.
#pragma once

#include <algorithm>
#include <cmath>

#include "runtime/kernels/simd.hpp"

namespace hybridgen::kernels {

// poison: 0, or NaN where the row has an infinity or a NaN, which no integer could show.
struct Extent {
  float largest, poison;
};

namespace scalar {
inline Extent extent_of(const float* from, int count) {
  Extent extent{0, 0};
  for (int d = 0; d < count; ++d) {
    extent.largest = std::max(extent.largest, std::fabs(from[d]));
    extent.poison += 0 * from[d];
  }
  return extent;
}
}  // namespace scalar

namespace avx2 {
// count: a multiple of kWidth.
HG_TARGET_AVX2 __attribute__((always_inline)) inline Extent extent_of(const float* from, int count) {
  const Vec sizes = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  Vec most = zero(), none = zero();
  for (int d = 0; d < count; d += kWidth) {
    const Vec x = load(from + d);
    most = max(_mm256_and_ps(x, sizes), most);
    none = fma(x, zero(), none);
  }
  return {reduce_max(most), reduce_add(none)};
}
}  // namespace avx2

}  // namespace hybridgen::kernels
