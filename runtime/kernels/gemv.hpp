// Matrix times vector for decode: the weights are read once, so it runs at the speed of the memory.
// Called by the executor's lane threads, each with its own range of rows; no allocation, no threads.
#pragma once

#include <cstdint>

#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::kernels {

// y[r] = sum_c W[r][c] * x[c] for row_begin <= r < row_end; nothing else of y is touched.
// W is row-major [rows][cols] without padding, any cols > 0; products and sums are fp32 (order of summation
// depends on the instruction set). W and y are the whole matrix and vector: the range selects.
void gemv_f16(const Half* w, const float* x, float* y, std::int64_t row_begin, std::int64_t row_end,
              std::int64_t cols);

}  // namespace hybridgen::kernels
