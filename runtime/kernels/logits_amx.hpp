// AMX logits for head dims 64 and 128: the tile unit multiplies 16 rows of K by q of up to eight heads, while
// the core only fetches and lays out. So the pace does not depend on how many heads share the rows. Included
// by attend.cpp only.
#pragma once

#include "runtime/kernels/amx_tiles.hpp"

namespace hybridgen::kernels::amx {

#define HG_INLINE HG_TARGET_AMX __attribute__((always_inline)) inline

// Dimensions of K that one tile holds. The unit sums over pairs of them: neighbours where the tile is read
// from K itself (bf16), i and 16 + i where fp16 rows are split on the way.
inline constexpr int kStepDims = 32;
inline constexpr std::int64_t kAhead = 1024;  // bytes, in each stream

// q, scaled, as the right-hand tiles: [step][pair][column][of the pair]; columns h and 8 + h are the two
// parts of head h.
template <class T, int kHeadDim>
HG_INLINE void arrange_query(const float* q, int group, float scale,
                             Bfloat (&arranged)[kHeadDim / kStepDims][kTileRows][kStepDims]) {
  alignas(64) Bfloat part[2][kStepDims];
  const __m512i every_row = _mm512_mullo_epi32(
      _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), _mm512_set1_epi32(kTileBytes));
  for (int h = 0; h < group; ++h) {
    for (int step = 0; step < kHeadDim / kStepDims; ++step) {
      for (int d = 0; d < kStepDims; d += avx512::kWidth) {
        const Vec x = avx512::load(q + h * kHeadDim + step * kStepDims + d);
        split(avx512::mul(x, avx512::set1(scale)), part[0] + d, part[1] + d);
      }
      for (int p = 0; p < 2; ++p) {
        __m512i pairs = _mm512_load_si512(part[p]);
        if constexpr (std::is_same_v<T, Half>) {
          const __m512i first = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(pairs));
          const __m512i second = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(pairs, 1));
          pairs = _mm512_or_si512(first, _mm512_slli_epi32(second, 16));
        }
        _mm512_i32scatter_epi32(&arranged[step][0][2 * (h + p * kMostHeads)], every_row, pairs, 1);
      }
    }
  }
}

// sums[row][column] of 16 rows to scores[head][row]: both parts of a head added, rows laid side by side.
HG_INLINE void store_scores(const float (&sums)[kTileRows][16], int group, float* scores,
                            std::int64_t stride) {
  const auto row = [&](int r) HG_TARGET_AMX {
    return _mm256_add_ps(_mm256_load_ps(sums[r]), _mm256_load_ps(sums[r] + kMostHeads));
  };
  Vec pair[8], quad[8];  // named by how many rows lie side by side in 128 bits
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    // Rows r and r + 1, each with the row 4 behind it: rows 0 to 7 for i 0 and 2, rows 8 to 15 for 4 and 6.
    const int r = i < 4 ? i : i + 4;
    const Vec a = _mm512_insertf32x8(_mm512_castps256_ps512(row(r)), row(r + 4), 1);
    const Vec b = _mm512_insertf32x8(_mm512_castps256_ps512(row(r + 1)), row(r + 5), 1);
    pair[i] = _mm512_unpacklo_ps(a, b), pair[i + 1] = _mm512_unpackhi_ps(a, b);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      const __m512d a = _mm512_castps_pd(pair[i + j]), b = _mm512_castps_pd(pair[i + j + 2]);
      quad[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      quad[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  }
#pragma GCC unroll 4
  for (int h = 0; h < 4; ++h) {
    if (h < group) _mm512_storeu_ps(scores + h * stride, _mm512_shuffle_f32x4(quad[h], quad[h + 4], 0x88));
    if (h + 4 < group) {
      _mm512_storeu_ps(scores + (h + 4) * stride, _mm512_shuffle_f32x4(quad[h], quad[h + 4], 0xdd));
    }
  }
}

// 16 fp16 rows in two parts, as left-hand tiles: [step][part][row][pair].
template <int kHeadDim>
using SplitRows = __m512i[kHeadDim / kStepDims][2][kTileRows];

// Rows `begin` to `end` of a tile; as many bytes are asked for, a little ahead.
template <int kHeadDim>
HG_INLINE void split_rows(const Half* rows, SplitRows<kHeadDim>& to, int begin, int end) {
  rows += begin * kHeadDim;
  for (int r = begin; r < end; ++r, rows += kHeadDim) {
#pragma GCC unroll 4
    for (int step = 0; step < kHeadDim / kStepDims; ++step) {
      const Half* from = rows + step * kStepDims;
      _mm_prefetch(reinterpret_cast<const char*>(from) + kAhead, _MM_HINT_T0);
      const Pairs pairs = split_pairs(avx512::load(from), avx512::load(from + avx512::kWidth));
      _mm512_store_si512(&to[step][0][r], pairs.high);
      _mm512_store_si512(&to[step][1][r], pairs.low);
    }
  }
}

// Tile 0 becomes the products of 16 rows; tiles 4 to 7 hold q.
template <int kHeadDim>
HG_INLINE void multiply(const Bfloat* k) {
  constexpr std::int64_t kStride = kHeadDim * static_cast<std::int64_t>(sizeof(Bfloat));
  _tile_zero(0);
  _tile_loadd(1, k, kStride);
  _tile_dpbf16ps(0, 1, 4);
  _tile_loadd(2, k + kStepDims, kStride);
  _tile_dpbf16ps(0, 2, 5);
  if constexpr (kHeadDim == 128) {
    _tile_loadd(1, k + 2 * kStepDims, kStride);
    _tile_dpbf16ps(0, 1, 6);
    _tile_loadd(2, k + 3 * kStepDims, kStride);
    _tile_dpbf16ps(0, 2, 7);
  }
}

// The same in two halves, between which a caller can have the core work.
template <int kHeadDim>
HG_INLINE void multiply_first(const SplitRows<kHeadDim>& k) {
  _tile_zero(0);
  _tile_loadd(1, k[0][0], kTileBytes);
  _tile_dpbf16ps(0, 1, 4);
  _tile_loadd(2, k[0][1], kTileBytes);
  _tile_dpbf16ps(0, 2, 4);
  if constexpr (kHeadDim == 128) {
    _tile_loadd(1, k[1][0], kTileBytes);
    _tile_dpbf16ps(0, 1, 5);
    _tile_loadd(2, k[1][1], kTileBytes);
    _tile_dpbf16ps(0, 2, 5);
  }
}
template <int kHeadDim>
HG_INLINE void multiply_last(const SplitRows<kHeadDim>& k) {
  if constexpr (kHeadDim == 64) {
    _tile_loadd(1, k[1][0], kTileBytes);
    _tile_dpbf16ps(0, 1, 5);
    _tile_loadd(2, k[1][1], kTileBytes);
    _tile_dpbf16ps(0, 2, 5);
  } else {
    _tile_loadd(1, k[2][0], kTileBytes);
    _tile_dpbf16ps(0, 1, 6);
    _tile_loadd(2, k[2][1], kTileBytes);
    _tile_dpbf16ps(0, 2, 6);
    _tile_loadd(1, k[3][0], kTileBytes);
    _tile_dpbf16ps(0, 1, 7);
    _tile_loadd(2, k[3][1], kTileBytes);
    _tile_dpbf16ps(0, 2, 7);
  }
}

// Scores of whole tiles of rows for up to eight heads, in turn from two streams as attend.inl says; returns
// how many rows that were. The unit cannot take a tile from a store under way: all it reads, or leaves for
// the core, waits for one turn. And what the core does stands between two halves of products: one after the
// other, they wait for each other (86 % of a plain read instead of 94 %).
template <class T, int kHeadDim>
HG_TARGET_AMX static std::int64_t logits(const float* q, int group, const T* k, std::int64_t rows,
                                         float scale, float* scores, std::int64_t stride) {
  static_assert(kHeadDim == 64 || kHeadDim == 128);
  constexpr bool kSplit = std::is_same_v<T, Half>;
  const std::int64_t half = rows / 2 / kTileRows * kTileRows;
  if (half == 0) return 0;
  const TileShapes shapes;
  alignas(64) Bfloat arranged[kHeadDim / kStepDims][kTileRows][kStepDims] = {};
  alignas(64) float sums[2][kTileRows][16];
  SplitRows<kHeadDim> split[2];
  arrange_query<T, kHeadDim>(q, group, scale, arranged);
  settle_memory();
  _tile_loadconfig(&shapes);
  _tile_loadd(4, arranged[0], kTileBytes);
  _tile_loadd(5, arranged[1], kTileBytes);
  if constexpr (kHeadDim == 128) {
    _tile_loadd(6, arranged[2], kTileBytes);
    _tile_loadd(7, arranged[3], kTileBytes);
  }
  const std::int64_t tiles = 2 * half / kTileRows;
  const auto row_of = [&](std::int64_t i) { return i / 2 * kTileRows + i % 2 * half; };
  if constexpr (kSplit) split_rows<kHeadDim>(k, split[0], 0, kTileRows);
  for (std::int64_t i = 0; i < tiles; ++i) {
    const std::int64_t now = i % 2, other = 1 - now;
    const T* next = k + (i + 1 < tiles ? row_of(i + 1) : 0) * kHeadDim;
    if constexpr (kSplit) {
      settle_memory();
      multiply_first<kHeadDim>(split[now]);
      split_rows<kHeadDim>(next, split[other], 0, kTileRows / 2);
      multiply_last<kHeadDim>(split[now]);
    } else {
      const T* tile = k + row_of(i) * kHeadDim;
      for (std::size_t byte = 0; byte < kTileRows * kHeadDim * sizeof(T); byte += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(tile) + kAhead + byte, _MM_HINT_T0);
      }
      multiply<kHeadDim>(tile);
    }
    if (i > 0) store_scores(sums[other], group, scores + row_of(i - 1), stride);
    if constexpr (kSplit) split_rows<kHeadDim>(next, split[other], kTileRows / 2, kTileRows);
    _tile_stored(0, sums[now], kTileBytes);
    settle_memory();
  }
  store_scores(sums[1], group, scores + row_of(tiles - 1),
               stride);  // of the last turn: there is an even number of them
  _tile_release();
  return 2 * half;
}

#undef HG_INLINE

}  // namespace hybridgen::kernels::amx
