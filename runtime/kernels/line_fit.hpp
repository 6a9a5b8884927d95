// The line that leads from one set of numbers to another: how predicted logits are corrected.
#pragma once

#include <cstdint>

namespace hybridgen::kernels {

struct Line {
  float slope = 1;
  float shift = 0;
};

// Least squares of y[i] = slope * x[i] + shift over i < n, summed in double. Slope 1 where all x are equal;
// slope 1 and shift 0 where n is 0.
Line fit_line(const float* x, const float* y, std::int64_t n);

}  // namespace hybridgen::kernels
