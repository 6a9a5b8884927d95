#include "runtime/kernels/gemv.hpp"

#include "runtime/kernels/half.hpp"
#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/simd.hpp"

namespace hybridgen::kernels {

namespace scalar {
static void gemv_f16(const Half* w, const float* x, float* y, std::int64_t row_begin, std::int64_t row_end,
                     std::int64_t cols) {
  for (std::int64_t r = row_begin; r < row_end; ++r) {
    float sum = 0.0f;
    for (std::int64_t c = 0; c < cols; ++c) sum += to_float(w[r * cols + c]) * x[c];
    y[r] = sum;
  }
}
}  // namespace scalar

namespace avx2 {
#define HG_TARGET HG_TARGET_AVX2
#define HG_WIDTH 8
#include "runtime/kernels/gemv.inl"
#undef HG_WIDTH
#undef HG_TARGET
}  // namespace avx2

namespace avx512 {
#define HG_TARGET HG_TARGET_AVX512
#define HG_WIDTH 16
#include "runtime/kernels/gemv.inl"
#undef HG_WIDTH
#undef HG_TARGET
}  // namespace avx512

void gemv_f16(const Half* w, const float* x, float* y, std::int64_t row_begin, std::int64_t row_end,
              std::int64_t cols) {
  pick(scalar::gemv_f16, avx2::gemv_f16, avx512::gemv_f16)(w, x, y, row_begin, row_end, cols);
}

}  // namespace hybridgen::kernels
