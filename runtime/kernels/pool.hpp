// Pooling along a row of values: stride 1, same length.
#pragma once

#include <cstdint>

namespace hybridgen::kernels {

// out[i] = the largest (or the mean) of x over i - width/2 .. i + width/2. Beyond the ends there is nothing;
// the mean counts 0 there. width odd; x and out do not overlap.
void pool(const float* x, std::int64_t n, std::int64_t width, bool largest, float* out);

}  // namespace hybridgen::kernels
