// The arguments that both matrix kernels take: gemv (few tokens, bound by the weights' bytes) and gemm
// (many).
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

// y[t][r] = sum_c w[r][c] * x[t][c] + bias[r] + addend[t][r], each of the two where it is not null; sums in
// fp32.
struct MatrixArgs {
  const Half* w = nullptr;  // [rows][cols], row-major
  int rows = 0;
  int cols = 0;              // a multiple of 8
  const float* x = nullptr;  // [token][x_stride]
  std::int64_t x_stride = 0;
  float* y = nullptr;  // [token][y_stride]; may be the addend
  std::int64_t y_stride = 0;
  const float* addend = nullptr;  // [token][y_stride]: the residual, so that it costs no launch of its own
  const float* bias = nullptr;    // [rows]

  HYBRIDGEN_HD float finished(float sum, std::int64_t at, int row) const {
    if (bias != nullptr) sum += bias[row];
    return addend != nullptr ? addend[at] + sum : sum;
  }
};

}  // namespace hybridgen::cuda
