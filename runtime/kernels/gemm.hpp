// Matrix products of prefill, on oneDNN's sgemm. The library is held to the calling thread (its OpenMP team
// has one member), so a product runs on the pinned lane that asked for it; lanes partition the weight rows.
#pragma once

#include <cstdint>

#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::kernels {

// C[m x n] = A[m x k] . B + beta * C, all row-major fp32; B is [k x n], or [n x k] if b_transposed. lda, ldb,
// ldc are the elements between rows. With beta 0, C may hold anything.
void sgemm(bool b_transposed, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
           std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc);

inline constexpr std::int64_t kGemmRows = 256;  // weight rows that are converted at a time

// Floats of scratch that gemm_f16 needs.
constexpr std::int64_t gemm_scratch(std::int64_t cols) {
  return kGemmRows * cols;
}

// y[t * y_stride + r] = sum_c x[t * x_stride + c] * W[r][c] for t < tokens and row_begin <= r < row_end.
// W is row-major fp16 [rows][cols]. Sums are fp32. x, y and W are the whole arrays: the range selects.
void gemm_f16(const Half* w, const float* x, std::int64_t x_stride, std::int64_t tokens,
              std::int64_t row_begin, std::int64_t row_end, std::int64_t cols, float* y,
              std::int64_t y_stride, float* scratch);

}  // namespace hybridgen::kernels
