// AVX-512 logits of 5 to 8 heads that share a KV head: K is read and converted once for all of them, which
// leaves the multiply-adds as the limit. Adding up the lanes of 16 accumulators costs half as much as the
// multiply-adds themselves; it is spread over the next tile's, where it runs beside them: done at the end of
// its own tile it costs 20 % of the speed. Included by attend.cpp only.
#pragma once

#include "runtime/kernels/simd_avx512.hpp"

namespace hybridgen::kernels::avx512 {

#define HG_INLINE HG_TARGET_AVX512 __attribute__((always_inline)) inline

// Three steps that add up lanes. Two vectors to one: 2 sums per 128-bit lane.
HG_INLINE Vec fold_lanes(Vec a, Vec b) {
  return add(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
}
// Two results of fold_lanes to one: 4 sums per 128-bit lane.
HG_INLINE Vec fold_pairs(Vec a, Vec b) {
  const __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
  return add(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
}
// The 128-bit lanes 0 + 1 and 2 + 3 of a, then those of b.
HG_INLINE Vec fold_quads(Vec a, Vec b) {
  return add(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

// How a tile lies in the vectors. Whole: 2 rows, 16 dimensions of one row per vector: fewest shuffles before
// the multiply-adds. Halved: 4 rows, 8 dimensions of two rows per vector: half the lane sums, which pays
// where rows are short. Both have 8 steps per tile at the head dims they are made for, 128 and 64.
template <class T, int kHeadDim>
struct WideTile {
  static constexpr bool kHalved = kHeadDim == 64;
  static constexpr int kRows = kHalved ? 4 : 2;
  static constexpr int kSteps = 8;
  static constexpr int kStepDims = kHeadDim / kSteps;
  static constexpr int kStepBytes = kRows * kHeadDim * static_cast<int>(sizeof(T)) / kSteps;
};

// q, scaled, in the order of use: [step][head][16].
template <class T, int kHeads, int kHeadDim>
HG_INLINE void arrange_query(const float* q, float scale, float* arranged) {
  using Tile = WideTile<T, kHeadDim>;
  const Vec factor = set1(scale);
  for (int step = 0; step < Tile::kSteps; ++step) {
    for (int h = 0; h < kHeads; ++h) {
      const float* from = q + h * kHeadDim + step * Tile::kStepDims;
      const Vec x = Tile::kHalved ? _mm512_broadcast_f32x8(_mm256_loadu_ps(from)) : load(from);
      store(arranged + (step * kHeads + h) * kWidth, mul(x, factor));
    }
  }
}

// One step's K: both vectors of `step`, or of `step` and the one behind it where the tile is halved.
template <class T, int kHeadDim>
HG_INLINE void load_step(const T* tile, int step, Vec (&k)[2][2]) {
  if constexpr (WideTile<T, kHeadDim>::kHalved) {
    const T* from = tile + step * 8;
    for (int p = 0; p < 2; ++p) {
      const __m256i one = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + p * kHeadDim));
      const __m256i two = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + (p + 2) * kHeadDim));
      k[0][p] = widen<T>(_mm256_inserti128_si256(one, _mm256_castsi256_si128(two), 1));
      k[1][p] = widen<T>(_mm256_permute2x128_si256(one, two, 0x31));
    }
  } else {
    for (int p = 0; p < 2; ++p) k[0][p] = load(tile + p * kHeadDim + step * kWidth);
  }
}

// The lane sums of one tile, given out in pieces: feed() takes a head's accumulators, piece() does the next
// bit of the work and, with the last, stores the scores.
template <int kHeads, bool kHalved>
struct LaneSums {
  Vec head[8];  // after fold_lanes
  Vec pair[4];  // after fold_pairs

  HG_INLINE void feed(int h, Vec first, Vec second) { head[h] = fold_lanes(first, second); }

  HG_INLINE void piece(int at, float* scores, std::int64_t stride) {
    constexpr int kLast = kHeads - 1, kLastPair = kLast / 2;
    if (at < 4 && at <= kLastPair)
      pair[at] = fold_pairs(head[2 * at], head[2 * at < kLast ? 2 * at + 1 : kLast]);
    if (at == 4) pair[0] = fold_quads(pair[0], pair[1]);
    if (at == 5) pair[2] = fold_quads(pair[2], pair[kLastPair]);
    if constexpr (kHalved) {
      if (at == 4) store_quads<4>(pair[0], scores, stride);
      if (at == 5) store_quads<kHeads - 4>(pair[2], scores + 4 * stride, stride);
    } else {
      if (at == 6) store_pairs(fold_quads(pair[0], pair[2]), scores, stride);
    }
  }

  // Four rows of each of up to four heads.
  template <int kCount>
  HG_INLINE void store_quads(Vec sums, float* scores, std::int64_t stride) {
    const __m512i order = _mm512_setr_epi32(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    sums = _mm512_permutexvar_ps(order, sums);
    _mm_storeu_ps(scores, _mm512_castps512_ps128(sums));
    if constexpr (kCount > 1) _mm_storeu_ps(scores + stride, _mm512_extractf32x4_ps(sums, 1));
    if constexpr (kCount > 2) _mm_storeu_ps(scores + 2 * stride, _mm512_extractf32x4_ps(sums, 2));
    if constexpr (kCount > 3) _mm_storeu_ps(scores + 3 * stride, _mm512_extractf32x4_ps(sums, 3));
  }

  // Two rows of each head: 64 bits apiece.
  HG_INLINE void store_pairs(Vec sums, float* scores, std::int64_t stride) {
    const __m128 lanes[4] = {_mm512_castps512_ps128(sums), _mm512_extractf32x4_ps(sums, 1),
                             _mm512_extractf32x4_ps(sums, 2), _mm512_extractf32x4_ps(sums, 3)};
#pragma GCC unroll 8
    for (int h = 0; h < kHeads; ++h) {
      auto* to = reinterpret_cast<__m64*>(scores + h * stride);
      if (h % 2 == 0) _mm_storel_pi(to, lanes[h / 2]);
      if (h % 2 == 1) _mm_storeh_pi(to, lanes[h / 2]);
    }
  }
};

// Scores of whole tiles of rows, in turn from two streams as attend.inl says; returns how many rows that
// were. kHeadDim 64 or 128.
template <class T, int kHeads, int kHeadDim>
HG_TARGET_AVX512 static std::int64_t logits_wide(const float* q, const T* k, std::int64_t rows, float scale,
                                                 float* scores, std::int64_t stride) {
  using Tile = WideTile<T, kHeadDim>;
  constexpr std::int64_t kAhead = (kHeads >= 7 && kHeadDim == 128 ? 4 : 2) * 1024;  // bytes, in each stream
  alignas(64) float arranged[Tile::kSteps * kHeads * kWidth];
  arrange_query<T, kHeads, kHeadDim>(q, scale, arranged);
  const std::int64_t half = rows / 2 / Tile::kRows * Tile::kRows;
  if (half == 0) return 0;
  Vec sum[kHeads][2];
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) sum[h][0] = sum[h][1] = zero();
  float* to = scores;  // of the tile before; the first round stores zeros where tile 0 will store
  const std::int64_t tiles = 2 * half / Tile::kRows;
  for (std::int64_t i = 0;; ++i) {
    const bool drain = i == tiles;  // only the last tile's lane sums are left: the products are dropped
    const std::int64_t n = drain ? 0 : i / 2 * Tile::kRows + i % 2 * half;
    const T* tile = k + n * kHeadDim;
    const float* query = arranged;
    asm("" : "+r"(query), "+r"(to), "+r"(tile));  // or GCC keeps all of q in spilled registers
    LaneSums<kHeads, Tile::kHalved> before;
    Vec row[2][2];
#pragma GCC unroll 8
    for (int step = 0; step < Tile::kSteps; ++step) {
      if (step % (64 / Tile::kStepBytes) == 0) {
        _mm_prefetch(reinterpret_cast<const char*>(tile) + kAhead + step * Tile::kStepBytes, _MM_HINT_T0);
      }
      if (!Tile::kHalved || step % 2 == 0) load_step<T, kHeadDim>(tile, step, row);
      const Vec(&k_now)[2] = row[Tile::kHalved ? step % 2 : 0];
#pragma GCC unroll 8
      for (int h = 0; h < kHeads; ++h) {
        Vec x = load(query + (step * kHeads + h) * kWidth);
        asm volatile("" : "+v"(x));  // one load for both products: the load ports have no slack
        if (step == 0) before.feed(h, sum[h][0], sum[h][1]);
        for (int p = 0; p < 2; ++p) sum[h][p] = step == 0 ? mul(k_now[p], x) : fma(k_now[p], x, sum[h][p]);
        if (h == kHeads / 2 && step > 0) before.piece(step - 1, to, stride);
      }
    }
    if (drain) return 2 * half;
    to = scores + n;
  }
}

#undef HG_INLINE

}  // namespace hybridgen::kernels::avx512
