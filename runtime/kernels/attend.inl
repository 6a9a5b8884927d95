// Bodies of logits and weighted_v for one instruction set; see simd.hpp.
// Several heads are passed over a strip of rows that stays in the first-level cache, never all at once:
// accumulators have to fit the registers. Rows are taken in turn from two streams, half the rows each, and asked
// for a little ahead: the hardware prefetcher follows both, which no prefetch in one stream comes near.

inline constexpr int kRowsPerTile = 4;
// Heads whose sums of V rows are carried at once.
inline constexpr int kWeightedHeads = kRegisters == 32 ? 8 : kHeadsPerPass;
inline constexpr std::int64_t kStripBytes = 8 * 1024;
inline constexpr std::int64_t kPrefetchBytes = 2 * 1024;  // in each stream

// `count` rows from each of two places that lie `apart` rows from each other.
struct Strip {
  std::int64_t count, apart;
};

// Four rows, kHeads heads. kHeadDim 0: known only at run time.
template <class T, int kHeads, int kHeadDim>
HG_TARGET static inline void logits_tile(const float* q, int head_dim, const T* k, float scale, float* scores,
                                         std::int64_t stride) {
  const int dims = kHeadDim ? kHeadDim : head_dim;
  Vec sum[kHeads][kRowsPerTile];
#pragma GCC unroll 4
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 4
    for (int r = 0; r < kRowsPerTile; ++r) sum[h][r] = zero();
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRowsPerTile; ++r) {
#pragma GCC unroll 8
    for (int d = 0; d < dims; d += kWidth) {
      const Vec row = load(k + r * dims + d);
#pragma GCC unroll 4
      for (int h = 0; h < kHeads; ++h) sum[h][r] = fma(row, load(q + h * dims + d), sum[h][r]);
    }
  }
  const __m128 factor = _mm_set1_ps(scale);
#pragma GCC unroll 4
  for (int h = 0; h < kHeads; ++h) {
    const __m128 four = reduce_add4(sum[h][0], sum[h][1], sum[h][2], sum[h][3]);
    _mm_storeu_ps(scores + h * stride, _mm_mul_ps(four, factor));
  }
}

template <class T, int kHeads, int kHeadDim>
HG_TARGET static void logits_strip(const float* q, int head_dim, const T* k, std::int64_t rows, float scale,
                                   float* scores, std::int64_t stride) {
  const int dims = kHeadDim ? kHeadDim : head_dim;
  const std::int64_t half = rows / 2 / kRowsPerTile * kRowsPerTile;
  for (std::int64_t n = 0; n < half; n += kRowsPerTile) {
    for (const std::int64_t row : {n, half + n}) {
      const T* tile = k + row * dims;
      for (int line = 0; line < kRowsPerTile * dims * static_cast<int>(sizeof(T)); line += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(tile) + kPrefetchBytes + line, _MM_HINT_T0);
      }
      logits_tile<T, kHeads, kHeadDim>(q, head_dim, tile, scale, scores + row, stride);
    }
  }
  for (std::int64_t n = 2 * half; n < rows; ++n) {
    for (int h = 0; h < kHeads; ++h) {
      Vec sum = zero();
      for (int d = 0; d < dims; d += kWidth) sum = fma(load(k + n * dims + d), load(q + h * dims + d), sum);
      scores[h * stride + n] = reduce_add(sum) * scale;
    }
  }
}

template <class T, int kHeadDim>
HG_TARGET static void logits_of(const float* q, int group, int head_dim, const T* k, std::int64_t rows,
                                float scale, float* scores, std::int64_t stride) {
  const int passes = (group + kHeadsPerPass - 1) / kHeadsPerPass;
  const std::int64_t row_bytes = head_dim * static_cast<std::int64_t>(sizeof(T));
  const std::int64_t strip = passes == 1 ? rows : (kStripBytes / row_bytes + 3) / 4 * 4;
  for (std::int64_t n = 0; n < rows; n += strip) {
    const std::int64_t count = rows - n < strip ? rows - n : strip;
    int head = 0;
    for (int pass = 0; pass < passes; ++pass) {
      const int heads = group / passes + (pass < group % passes ? 1 : 0);
      const float* head_q = q + static_cast<std::int64_t>(head) * head_dim;
      float* head_scores = scores + head * stride + n;
      const T* strip_k = k + n * head_dim;
      switch (heads) {
        case 1:
          logits_strip<T, 1, kHeadDim>(head_q, head_dim, strip_k, count, scale, head_scores, stride);
          break;
        case 2:
          logits_strip<T, 2, kHeadDim>(head_q, head_dim, strip_k, count, scale, head_scores, stride);
          break;
        case 3:
          logits_strip<T, 3, kHeadDim>(head_q, head_dim, strip_k, count, scale, head_scores, stride);
          break;
        default:
          logits_strip<T, 4, kHeadDim>(head_q, head_dim, strip_k, count, scale, head_scores, stride);
      }
      head += heads;
    }
  }
}

template <class T>
HG_TARGET static void logits(const float* q, int group, int head_dim, const T* k, std::int64_t rows,
                             float scale, float* scores, std::int64_t stride) {
  const std::int64_t done = logits_of_many(q, group, head_dim, k, rows, scale, scores, stride);
  k += done * head_dim, rows -= done, scores += done;
  if (rows == 0) return;
  if (head_dim == 64) return logits_of<T, 64>(q, group, head_dim, k, rows, scale, scores, stride);
  if (head_dim == 128) return logits_of<T, 128>(q, group, head_dim, k, rows, scale, scores, stride);
  logits_of<T, 0>(q, group, head_dim, k, rows, scale, scores, stride);
}

// kHeads heads, kVecs vectors of each row's dimensions, rows in turn from two streams.
template <class T, int kHeads, int kVecs>
HG_TARGET static void weighted_strip(const float* p, std::int64_t stride, int head_dim, const T* v,
                                     Strip strip, float* out) {
  Vec sum[kHeads][kVecs];
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 8
    for (int c = 0; c < kVecs; ++c) sum[h][c] = load(out + h * head_dim + c * kWidth);
  }
  for (std::int64_t i = 0; i < 2 * strip.count; ++i) {
    const std::int64_t n = i / 2 + i % 2 * strip.apart;
    const T* row = v + n * head_dim;
    Vec weight[kHeads];
#pragma GCC unroll 8
    for (int h = 0; h < kHeads; ++h) weight[h] = set1(p[h * stride + n]);
#pragma GCC unroll 8
    for (int c = 0; c < kVecs; ++c) {
      const Vec value = load(row + c * kWidth);
#pragma GCC unroll 8
      for (int h = 0; h < kHeads; ++h) {
        asm("" : "+v"(weight[h]));  // in a register: read again for each product, it would starve the load ports
        sum[h][c] = fma(weight[h], value, sum[h][c]);
      }
    }
    for (int byte = 0; byte < kVecs * kWidth * static_cast<int>(sizeof(T)); byte += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(row) + kPrefetchBytes + byte, _MM_HINT_T0);
    }
  }
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 8
    for (int c = 0; c < kVecs; ++c) store(out + h * head_dim + c * kWidth, sum[h][c]);
  }
}

template <class T, int kHeads>
HG_TARGET static void weighted_dims(const float* p, std::int64_t stride, int head_dim, const T* v,
                                    Strip strip, float* out) {
  constexpr int kVecs = kHeads > 4 ? 2 : 4;
  // Whole rows in one pass where the registers hold them: 3 heads x 8 vectors of 32 registers.
  if constexpr (kHeads * 8 <= kRegisters - 8) {
    if (head_dim == 8 * kWidth) return weighted_strip<T, kHeads, 8>(p, stride, head_dim, v, strip, out);
  }
  int d = 0;
  for (; d + kVecs * kWidth <= head_dim; d += kVecs * kWidth) {
    weighted_strip<T, kHeads, kVecs>(p, stride, head_dim, v + d, strip, out + d);
  }
  for (; d < head_dim; d += kWidth) weighted_strip<T, kHeads, 1>(p, stride, head_dim, v + d, strip, out + d);
}

// Up to 8 heads at once: V is read and converted once for all of them.
template <class T>
HG_TARGET static void weighted_heads(int heads, const float* p, std::int64_t stride, int head_dim, const T* v,
                                     Strip strip, float* out) {
  if (heads == 1) return weighted_dims<T, 1>(p, stride, head_dim, v, strip, out);
  if (heads == 2) return weighted_dims<T, 2>(p, stride, head_dim, v, strip, out);
  if (heads == 3) return weighted_dims<T, 3>(p, stride, head_dim, v, strip, out);
  if (heads == 4) return weighted_dims<T, 4>(p, stride, head_dim, v, strip, out);
  if constexpr (kWeightedHeads > 4) {
    if (heads == 5) return weighted_dims<T, 5>(p, stride, head_dim, v, strip, out);
    if (heads == 6) return weighted_dims<T, 6>(p, stride, head_dim, v, strip, out);
    if (heads == 7) return weighted_dims<T, 7>(p, stride, head_dim, v, strip, out);
    weighted_dims<T, 8>(p, stride, head_dim, v, strip, out);
  }
}

template <class T>
HG_TARGET static void weighted_v(const float* p, std::int64_t stride, int group, int head_dim, const T* v,
                                 std::int64_t rows, float* out) {
  const std::int64_t done = weighted_of_many(p, stride, group, head_dim, v, rows, out);
  p += done, v += done * head_dim, rows -= done;
  const int passes = (group + kWeightedHeads - 1) / kWeightedHeads;
  const std::int64_t row_bytes = head_dim * static_cast<std::int64_t>(sizeof(T));
  const std::int64_t half = rows / 2;
  const std::int64_t most = group <= 4 && head_dim <= 4 * kWidth ? half : kStripBytes / 2 / row_bytes + 1;
  for (std::int64_t n = 0; n < half; n += most) {
    const Strip strip{half - n < most ? half - n : most, half};
    int head = 0;
    for (int pass = 0; pass < passes; ++pass) {
      const int heads = group / passes + (pass < group % passes ? 1 : 0);
      weighted_heads(heads, p + head * stride + n, stride, head_dim, v + n * head_dim, strip,
                     out + static_cast<std::int64_t>(head) * head_dim);
      head += heads;
    }
  }
  if (rows % 2 == 0) return;
  const T* last = v + (rows - 1) * head_dim;
  for (int g = 0; g < group; ++g) {
    const Vec weight = set1(p[g * stride + rows - 1]);
    float* to = out + static_cast<std::int64_t>(g) * head_dim;
    for (int d = 0; d < head_dim; d += kWidth) store(to + d, fma(weight, load(last + d), load(to + d)));
  }
}

template <class T>
HG_TARGET static void weighted_v_at(const float* p, const std::int32_t* index, std::int64_t count,
                                    int head_dim, const T* v, float* out) {
  constexpr std::int64_t kAhead = 16;  // rows; the limit of a gather is how many misses are under way
  for (std::int64_t j = 0; j < count; ++j) {
    if (j + kAhead < count) {
      const char* next =
          reinterpret_cast<const char*>(v + static_cast<std::int64_t>(index[j + kAhead]) * head_dim);
      for (std::size_t byte = 0; byte < head_dim * sizeof(T); byte += 64)
        _mm_prefetch(next + byte, _MM_HINT_T1);
    }
    const T* row = v + static_cast<std::int64_t>(index[j]) * head_dim;
    const Vec weight = set1(p[j]);
    for (int d = 0; d < head_dim; d += kWidth) store(out + d, fma(weight, load(row + d), load(out + d)));
  }
}
