#include "runtime/kernels/gemm.hpp"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <algorithm>

#include "core/base/check.hpp"
#include "runtime/kernels/convert.hpp"

namespace hybridgen::kernels {
namespace {

// OpenMP's team size is a property of the calling thread; once per thread is enough.
void stay_on_this_thread() {
  thread_local const bool kDone = [] {
    omp_set_num_threads(1);
    return true;
  }();
  static_cast<void>(kDone);
}

}  // namespace

void sgemm(bool b_transposed, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
           std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  stay_on_this_thread();
  const dnnl_status_t status =
      dnnl_sgemm('N', b_transposed ? 'T' : 'N', m, n, k, 1.0f, a, lda, b, ldb, beta, c, ldc);
  HG_CHECK(status == dnnl_success,
           "dnnl_sgemm of " << m << " x " << n << " x " << k << " returned " << status);
}

void gemm_f16(const Half* w, const float* x, std::int64_t x_stride, std::int64_t tokens,
              std::int64_t row_begin, std::int64_t row_end, std::int64_t cols, float* y,
              std::int64_t y_stride, float* scratch) {
  for (std::int64_t r = row_begin; r < row_end; r += kGemmRows) {
    const std::int64_t rows = std::min(kGemmRows, row_end - r);
    convert(w + r * cols, scratch, rows * cols);
    sgemm(true, tokens, rows, cols, x, x_stride, scratch, cols, 0.0f, y + r, y_stride);
  }
}

}  // namespace hybridgen::kernels
