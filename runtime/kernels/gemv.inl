// Body of gemv_f16 for one instruction set; see simd.hpp. Never neighbouring rows at once: that defeats the hardware
// prefetcher and halves the speed. Rows from both halves of the range in turn: the prefetcher follows both, and reaches
// the speed of a plain read, which it does not beside one stream of computation.

HG_TARGET static float gemv_row(const Half* row, const float* x, std::int64_t cols) {
  Vec s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
  std::int64_t c = 0;
  for (; c + 4 * kWidth <= cols; c += 4 * kWidth) {
    for (int byte = 0; kWidth == 16 && byte < 8 * kWidth; byte += 64) {  // pays with AVX-512, not on Zen 3
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

// Two rows far apart, a piece of each in turn: rows of several kilobytes would leave the prefetcher one stream.
HG_TARGET static void gemv_two_rows(const Half* w, const float* x, float* y, std::int64_t row, std::int64_t other,
                                    std::int64_t cols) {
  constexpr std::int64_t kPiece = 512;
  float sum[2] = {};
  for (std::int64_t c = 0; c < cols; c += kPiece) {
    const std::int64_t count = cols - c < kPiece ? cols - c : kPiece;
    sum[0] += gemv_row(w + row * cols + c, x + c, count);
    sum[1] += gemv_row(w + other * cols + c, x + c, count);
  }
  y[row] = sum[0];
  y[other] = sum[1];
}

HG_TARGET static void gemv_f16(const Half* w, const float* x, float* y, std::int64_t row_begin,
                               std::int64_t row_end, std::int64_t cols) {
  const std::int64_t half = (row_end - row_begin) / 2;
  for (std::int64_t r = row_begin; r < row_begin + half; ++r) gemv_two_rows(w, x, y, r, r + half, cols);
  if ((row_end - row_begin) % 2 == 1) y[row_end - 1] = gemv_row(w + (row_end - 1) * cols, x, cols);
}
