// Body of gemv_f16 for one instruction set; see simd.hpp. Never several rows at once: that defeats the hardware
// prefetcher and halves the speed. AVX2 takes rows from both halves of the range in turn: on Zen 3 the hardware
// prefetcher then reaches the speed of a plain read, which it does not beside one stream of computation.

HG_TARGET static float gemv_row(const Half* row, const float* x, std::int64_t cols) {
  Vec s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
  std::int64_t c = 0;
  for (; c + 4 * kWidth <= cols; c += 4 * kWidth) {
    for (int byte = 0; kStreams == 1 && byte < 8 * kWidth; byte += 64) {  // with it 97 % of the read, without 90 %
      _mm_prefetch(reinterpret_cast<const char*>(row + c) + 4096 + byte, _MM_HINT_T0);
    }
    s0 = fma(load(row + c), load(x + c), s0);
    s1 = fma(load(row + c + kWidth), load(x + c + kWidth), s1);
    s2 = fma(load(row + c + 2 * kWidth), load(x + c + 2 * kWidth), s2);
    s3 = fma(load(row + c + 3 * kWidth), load(x + c + 3 * kWidth), s3);
  }
  for (; c + kWidth <= cols; c += kWidth) s0 = fma(load(row + c), load(x + c), s0);
  if (c < cols) s1 = fma(load_first(row + c, cols - c), load_first(x + c, cols - c), s1);
  return reduce_add(add(add(s0, s1), add(s2, s3)));
}

HG_TARGET static void gemv_f16(const Half* w, const float* x, float* y, std::int64_t row_begin,
                               std::int64_t row_end, std::int64_t cols) {
  const std::int64_t share = (row_end - row_begin) / kStreams;  // rows of each stream
  for (std::int64_t r = row_begin; r < row_begin + share; ++r) {
    for (int s = 0; s < kStreams; ++s) y[r + s * share] = gemv_row(w + (r + s * share) * cols, x, cols);
  }
  for (std::int64_t r = row_begin + kStreams * share; r < row_end; ++r) y[r] = gemv_row(w + r * cols, x, cols);
}
