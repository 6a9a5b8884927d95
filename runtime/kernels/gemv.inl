// Body of gemv_f16 for one instruction set; see simd.hpp. Rows from several parts of the range in turn: the prefetcher
// follows each of them, and reads faster than along one. Never neighbouring rows at once: that defeats it.

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

// y[i * apart] for i < kParts: rows that lie `apart` from each other, a piece of each in turn.
#if HG_WIDTH == 8
// Four, a cache line at a time. On Zen 3 a plain read of four streams is 1.4 times as fast as one of one stream, of
// two 1.2 times, of eight no faster than of four.
inline constexpr int kParts = 4;

HG_TARGET static void gemv_apart(const Half* w, const float* x, float* y, std::int64_t apart, std::int64_t cols) {
  constexpr int kVecs = 4;
  Vec sum[kParts][2];
#pragma GCC unroll 8
  for (int i = 0; i < 2 * kParts; ++i) sum[i / 2][i % 2] = zero();
  std::int64_t c = 0;
  for (; c + kVecs * kWidth <= cols; c += kVecs * kWidth) {
    Vec in[kVecs];
#pragma GCC unroll 4
    for (int j = 0; j < kVecs; ++j) in[j] = load(x + c + j * kWidth);
#pragma GCC unroll 4
    for (int i = 0; i < kParts; ++i) {
      const Half* row = w + i * apart * cols + c;
      _mm_prefetch(reinterpret_cast<const char*>(row) + 512, _MM_HINT_T0);
#pragma GCC unroll 4
      for (int j = 0; j < kVecs; ++j) sum[i][j % 2] = fma(load(row + j * kWidth), in[j], sum[i][j % 2]);
    }
  }
  for (int i = 0; i < kParts; ++i) {
    y[i * apart] = reduce_add(add(sum[i][0], sum[i][1]));
    if (c < cols) y[i * apart] += gemv_row(w + i * apart * cols + c, x + c, cols - c);
  }
}
#else
// Two, a kilobyte at a time.
inline constexpr int kParts = 2;

HG_TARGET static void gemv_apart(const Half* w, const float* x, float* y, std::int64_t apart, std::int64_t cols) {
  constexpr std::int64_t kPiece = 512;
  float sum[kParts] = {};
  for (std::int64_t c = 0; c < cols; c += kPiece) {
    const std::int64_t count = cols - c < kPiece ? cols - c : kPiece;
    for (int i = 0; i < kParts; ++i) sum[i] += gemv_row(w + i * apart * cols + c, x + c, count);
  }
  for (int i = 0; i < kParts; ++i) y[i * apart] = sum[i];
}
#endif

HG_TARGET static void gemv_f16(const Half* w, const float* x, float* y, std::int64_t row_begin,
                               std::int64_t row_end, std::int64_t cols) {
  const std::int64_t apart = (row_end - row_begin) / kParts;
  for (std::int64_t r = row_begin; r < row_begin + apart; ++r) gemv_apart(w + r * cols, x, y + r, apart, cols);
  for (std::int64_t r = row_begin + kParts * apart; r < row_end; ++r) y[r] = gemv_row(w + r * cols, x, cols);
}
