#include "runtime/kernels/pool.hpp"

#include <algorithm>
#include <numeric>

#include "core/base/check.hpp"

namespace hybridgen::kernels {

void pool(const float* x, std::int64_t n, std::int64_t width, bool largest, float* out) {
  HG_CHECK(width > 0 && width % 2 == 1, "pooling over " << width);
  const std::int64_t half = width / 2;
  for (std::int64_t i = 0; i < n; ++i) {
    const float* begin = x + std::max<std::int64_t>(0, i - half);
    const float* end = x + std::min(n, i + half + 1);
    out[i] = largest ? *std::max_element(begin, end)
                     : std::accumulate(begin, end, 0.0F) / static_cast<float>(width);
  }
}

}  // namespace hybridgen::kernels
