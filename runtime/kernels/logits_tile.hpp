// AVX2 logits of head dims 64 and 128, four rows of K at a time. Measured on Zen 3: a conversion from memory,
// a load, a blend and an addition run beside the multiply-adds; a store, and a shuffle across 128-bit lanes,
// each take the place of one; a chain of lane sums at the end of a tile clogs the scheduler for longer than
// the sums themselves take. So K stays fp16 in the first-level cache and is converted anew for every two
// heads, and the lane sums of a tile are done piece by piece beside the next tile's products. Included by
// attend.cpp only.
#pragma once

#include <algorithm>

#include "runtime/kernels/simd_avx2.hpp"

namespace hybridgen::kernels::avx2 {

#define HG_INLINE HG_TARGET_AVX2 __attribute__((always_inline)) inline

inline constexpr int kTileRows = 4;
// In turn from so many parts of the rows: one head runs at the memory's pace, which four streams raise by a
// sixth; groups do not, and lose by jumping more often.
constexpr std::int64_t streams_of(int group) {
  return group == 1 ? 4 : 2;
}
inline constexpr std::int64_t kTileStripBytes = 4 * 1024;

// Two vectors to one; per 128-bit lane {a0+a2, a1+a3, b0+b2, b1+b3}.
HG_INLINE Vec fold_halves(Vec a, Vec b) {
  return add(_mm256_blend_ps(a, b, 0xcc), _mm256_shuffle_ps(a, b, 0x4e));
}
// fold_halves of rows 0 and 2, and of rows 1 and 3, to one: per 128-bit lane the rows' sums in order.
HG_INLINE Vec fold_pairs(Vec even, Vec odd) {
  const Vec crossed = _mm256_permute_ps(_mm256_blend_ps(even, odd, 0x55), 0xb1);
  return add(_mm256_blend_ps(even, odd, 0xaa), crossed);
}
HG_INLINE void store_sums(float* scores, Vec sums) {
  _mm_storeu_ps(scores, _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)));
}

// The sums of four rows for two heads, a and b.
struct PairSums {
  Vec a0, a1, a2, a3, b0, b1, b2, b3;

  // The products of eight dimensions. The asm holds each vector in a register: one load of a query for four
  // products, and no product moved to where its sum would have to be spilled.
  template <class T, int kDims>
  HG_INLINE void step(const float* q, const T* k) {
    Vec qa = load(q), qb = load(q + kDims);
    asm volatile("" : "+x"(qa), "+x"(qb));
    const Vec k0 = load(k);
    a0 = fma(k0, qa, a0), b0 = fma(k0, qb, b0);
    asm volatile("" : "+x"(a0), "+x"(b0));
    const Vec k1 = load(k + kDims);
    a1 = fma(k1, qa, a1), b1 = fma(k1, qb, b1);
    asm volatile("" : "+x"(a1), "+x"(b1));
    const Vec k2 = load(k + 2 * kDims);
    a2 = fma(k2, qa, a2), b2 = fma(k2, qb, b2);
    asm volatile("" : "+x"(a2), "+x"(b2));
    const Vec k3 = load(k + 3 * kDims);
    a3 = fma(k3, qa, a3), b3 = fma(k3, qb, b3);
    asm volatile("" : "+x"(a3), "+x"(b3));
  }
};

// Scores of whole tiles for two heads; q is scaled already. Asks for a line from `ahead` on in every
// kEvery-th step. The first round's lane sums are of no tile: they go where those of the first tile go later.
template <class T, int kDims, int kEvery>
HG_TARGET_AVX2 static void score_pair(const float* q, const T* k, std::int64_t rows, float* scores,
                                      std::int64_t stride, const char* ahead) {
  const Vec none = zero();
  PairSums sum{none, none, none, none, none, none, none, none};
  float* to = scores;  // of the tile before
  for (std::int64_t n = 0; n < rows; n += kTileRows, k += kTileRows * kDims) {
    Vec even_a = fold_halves(sum.a0, sum.a2), odd_a = fold_halves(sum.a1, sum.a3);
    Vec even_b = fold_halves(sum.b0, sum.b2), odd_b = fold_halves(sum.b1, sum.b3);
    asm volatile("" : "+x"(even_a), "+x"(odd_a), "+x"(even_b), "+x"(odd_b));
    sum = {none, none, none, none, none, none, none, none};
#pragma GCC unroll 16
    for (int d = 0; d < kDims; d += kWidth) {
      if (d / kWidth % kEvery == 0) _mm_prefetch(ahead + d / kWidth / kEvery * 64, _MM_HINT_T0);
      sum.template step<T, kDims>(q + d, k + d);
      if (d == 1 * kWidth) even_a = fold_pairs(even_a, odd_a);
      if (d == 2 * kWidth) even_b = fold_pairs(even_b, odd_b);
      if (d == 4 * kWidth) store_sums(to, even_a);
      if (d == 5 * kWidth) store_sums(to + stride, even_b);
    }
    to = scores + n;
    ahead += (kDims / kWidth + kEvery - 1) / kEvery * 64;
  }
  store_sums(to, fold_pairs(fold_halves(sum.a0, sum.a2), fold_halves(sum.a1, sum.a3)));
  store_sums(to + stride, fold_pairs(fold_halves(sum.b0, sum.b2), fold_halves(sum.b1, sum.b3)));
}

// The same for one head, row after row: as the memory lies, for there it sets the pace.
template <class T, int kDims>
HG_TARGET_AVX2 static void score_head(const float* q, const T* k, std::int64_t rows, float* scores) {
  for (std::int64_t n = 0; n < rows; n += kTileRows, k += kTileRows * kDims) {
    Vec sum[kTileRows];
#pragma GCC unroll 4
    for (int r = 0; r < kTileRows; ++r) {
      const T* row = k + r * kDims;
      Vec even = mul(load(row), load(q)), odd = mul(load(row + kWidth), load(q + kWidth));
#pragma GCC unroll 8
      for (int d = 2 * kWidth; d < kDims; d += 2 * kWidth) {
        even = fma(load(row + d), load(q + d), even);
        odd = fma(load(row + d + kWidth), load(q + d + kWidth), odd);
      }
      sum[r] = add(even, odd);
    }
    store_sums(scores + n, fold_pairs(fold_halves(sum[0], sum[2]), fold_halves(sum[1], sum[3])));
  }
}

// One strip of rows for all heads. `later` is the strip after it: on the way it comes into the first-level
// cache.
template <class T, int kDims, int kEvery>
HG_INLINE void score_strip(const float* q, int group, const T* k, std::int64_t rows, float* scores,
                           std::int64_t stride, const T* later) {
  const auto* ahead = reinterpret_cast<const char*>(later);
  for (; group > 1; group -= 2) {
    score_pair<T, kDims, kEvery>(q, k, rows, scores, stride, ahead);
    q += 2 * kDims, scores += 2 * stride;
    ahead += rows / kTileRows * ((kDims / kWidth + kEvery - 1) / kEvery) * 64;
  }
  if (group == 1) score_head<T, kDims>(q, k, rows, scores);
}

// Scores of whole tiles of rows; returns how many rows that were. Several streams, each as many of the rows,
// in turn: the hardware prefetcher follows all, which fetches faster than any prefetch in one stream.
template <class T, int kDims, int kPairs>
HG_TARGET_AVX2 static std::int64_t logits_streams(const float* q, int group, const T* k, std::int64_t rows,
                                                  float scale, float* scores, std::int64_t stride) {
  alignas(64) float scaled[2 * kPairs * kDims + kDims];
  for (int d = 0; d < group * kDims; d += kWidth) store(scaled + d, mul(load(q + d), set1(scale)));
  constexpr std::int64_t kStreams = streams_of(kPairs == 0 ? 1 : 2);
  const std::int64_t part = rows / kStreams / kTileRows * kTileRows;
  constexpr std::int64_t kStrip =
      kPairs == 0 ? kTileRows : kTileStripBytes / (kDims * static_cast<std::int64_t>(sizeof(T)));
  constexpr int kEvery = kPairs > 1 ? kPairs : 1;
  for (std::int64_t n = 0; n < part; n += kStrip) {
    const std::int64_t count = std::min(kStrip, part - n);
    for (std::int64_t stream = 0; stream < kStreams; ++stream) {
      const std::int64_t at = stream * part + n;
      const std::int64_t next = stream + 1 < kStreams ? at + part : n + kStrip;
      score_strip<T, kDims, kEvery>(scaled, group, k + at * kDims, count, scores + at, stride,
                                    k + next * kDims);
    }
  }
  return kStreams * part;
}

// Any group: heads beyond eight are a group of their own.
template <class T, int kDims>
HG_TARGET_AVX2 static std::int64_t logits_tiles(const float* q, int group, const T* k, std::int64_t rows,
                                                float scale, float* scores, std::int64_t stride) {
  for (; group > 8; group -= 8, q += 8 * kDims, scores += 8 * stride) {
    logits_streams<T, kDims, 4>(q, 8, k, rows, scale, scores, stride);
  }
  const auto go = [&](auto streams) { return streams(q, group, k, rows, scale, scores, stride); };
  if (group == 1) return go(logits_streams<T, kDims, 0>);
  if (group < 4) return go(logits_streams<T, kDims, 1>);
  if (group < 6) return go(logits_streams<T, kDims, 2>);
  return group < 8 ? go(logits_streams<T, kDims, 3>) : go(logits_streams<T, kDims, 4>);
}

#undef HG_INLINE

}  // namespace hybridgen::kernels::avx2
