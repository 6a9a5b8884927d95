// AMX sums of V rows for head dims 64 and 128: the tile unit multiplies the weights of up to eight heads by
// 32 rows, 64 dimensions of them, at a time. Included by attend.cpp only.
#pragma once

#include "runtime/kernels/amx_tiles.hpp"

namespace hybridgen::kernels::amx {

#define HG_INLINE HG_TARGET_AMX __attribute__((always_inline)) inline

inline constexpr int kBlockRows = 32;
inline constexpr int kFewPairs =
    4;  // prepared between the two halves of a block's products, so that neither waits
inline constexpr int kSliceDims =
    64;  // four tiles of sums, which with what they are made of fill the registers
inline constexpr int kSliceTiles = kSliceDims / 16;

// 32 rows' slices as right-hand tiles, [part][tile][pair of rows]: rows as stored have but one part where
// they are bf16.
template <class T>
using Values = __m512i[std::is_same_v<T, Half> ? 2 : 1][kSliceTiles][kTileRows];

// 16 stored elements, each in a word of its own.
HG_INLINE __m512i words(const Bfloat* from) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

// The pairs of rows from `begin` up to `end`; the line `ahead` bytes behind each one is asked for.
template <class T, int kHeadDim>
HG_INLINE void pair_rows(const T* rows, Values<T>& to, int begin, int end, std::int64_t ahead) {
  for (int r = begin; r < end; ++r) {
    const T* first = rows + 2 * r * kHeadDim;
    const T* second = first + kHeadDim;
#pragma GCC unroll 4
    for (int t = 0; t < kSliceTiles; ++t) {
      const T* ask = t < 2 ? first + t * 32 : second + (t - 2) * 32;
      _mm_prefetch(reinterpret_cast<const char*>(ask) + ahead, _MM_HINT_T0);
      if constexpr (std::is_same_v<T, Half>) {
        const Pairs pairs = split_pairs(avx512::load(first + 16 * t), avx512::load(second + 16 * t));
        _mm512_store_si512(&to[0][t][r], pairs.high);
        _mm512_store_si512(&to[1][t][r], pairs.low);
      } else {
        const __m512i upper = _mm512_slli_epi32(words(second + 16 * t), 16);
        _mm512_store_si512(&to[0][t][r], _mm512_or_si512(words(first + 16 * t), upper));
      }
    }
  }
}

// 32 weights of each head as the left-hand tile: rows h and 8 + h are the two parts of head h.
HG_INLINE void split_weights(const float* p, std::int64_t stride, int group,
                             Bfloat (&to)[kTileRows][kBlockRows]) {
  for (int h = 0; h < group; ++h) {
    for (int n = 0; n < kBlockRows; n += avx512::kWidth) {
      split(avx512::load(p + h * stride + n), to[h] + n, to[h + kMostHeads] + n);
    }
  }
}

// Tiles 0 and 1, or 2 and 3, gain the products of tile 4 and one block.
template <class T>
HG_INLINE void multiply_first(const Values<T>& v) {
  _tile_loadd(5, v[0][0], kTileBytes);
  _tile_dpbf16ps(0, 4, 5);
  _tile_loadd(6, v[0][1], kTileBytes);
  _tile_dpbf16ps(1, 4, 6);
  if constexpr (std::is_same_v<T, Half>) {
    _tile_loadd(5, v[1][0], kTileBytes);
    _tile_dpbf16ps(0, 4, 5);
    _tile_loadd(6, v[1][1], kTileBytes);
    _tile_dpbf16ps(1, 4, 6);
  }
}
template <class T>
HG_INLINE void multiply_last(const Values<T>& v) {
  _tile_loadd(5, v[0][2], kTileBytes);
  _tile_dpbf16ps(2, 4, 5);
  _tile_loadd(6, v[0][3], kTileBytes);
  _tile_dpbf16ps(3, 4, 6);
  if constexpr (std::is_same_v<T, Half>) {
    _tile_loadd(5, v[1][2], kTileBytes);
    _tile_dpbf16ps(2, 4, 5);
    _tile_loadd(6, v[1][3], kTileBytes);
    _tile_dpbf16ps(3, 4, 6);
  }
}

using Sums = float[kSliceTiles][kTileRows][16];

HG_INLINE void load_sums(const Sums& from) {
  settle_memory();
  _tile_loadd(0, from[0], kTileBytes);
  _tile_loadd(1, from[1], kTileBytes);
  _tile_loadd(2, from[2], kTileBytes);
  _tile_loadd(3, from[3], kTileBytes);
}
HG_INLINE void store_sums(Sums& to) {
  _tile_stored(0, to[0], kTileBytes);
  _tile_stored(1, to[1], kTileBytes);
  _tile_stored(2, to[2], kTileBytes);
  _tile_stored(3, to[3], kTileBytes);
  settle_memory();
}

// A block's slice, the i-th in order. Blocks are taken in turn from two streams, as attend.inl says; rows of
// two slices, first one slice of a block of either stream, then the other: their sums take turns in the
// registers.
template <int kHeadDim>
struct Turn {
  static constexpr int kSlices = kHeadDim / kSliceDims;
  std::int64_t row;
  int slice;
  std::int64_t
      ahead;  // bytes from here to what is read two turns on, or a little ahead where rows are read whole

  Turn(std::int64_t i, std::int64_t half)
      : row(i / (2 * kSlices) * kBlockRows + i % 2 * half), slice(static_cast<int>(i / 2 % kSlices)) {
    constexpr std::int64_t kSliceBytes = 2 * kSliceDims;
    ahead = kSlices == 1 ? 1536 : slice == 0 ? kSliceBytes : kBlockRows * kSlices * kSliceBytes - kSliceBytes;
  }
};

// Adds whole blocks of rows to out, for up to eight heads; returns how many rows that were. What a tile needs
// is stored one turn before it is read again: the unit cannot take it from a store under way.
template <class T, int kHeadDim>
HG_TARGET_AMX static std::int64_t weighted(const float* p, std::int64_t stride, int group, const T* v,
                                           std::int64_t rows, float* out) {
  static_assert(kHeadDim == 64 || kHeadDim == 128);
  constexpr int kSlices = Turn<kHeadDim>::kSlices;
  const std::int64_t half = rows / 2 / kBlockRows * kBlockRows;
  if (half == 0) return 0;
  const TileShapes shapes;
  alignas(64) Sums sums[kSlices] = {};
  alignas(64) Bfloat weights[2][kTileRows][kBlockRows] = {};
  Values<T> values[2];
  const std::int64_t turns = 2 * half / kBlockRows * kSlices;
  const auto place = [&](const Turn<kHeadDim>& turn) {
    return v + turn.row * kHeadDim + turn.slice * kSliceDims;
  };
  _tile_loadconfig(&shapes);
  load_sums(sums[0]);
  const Turn<kHeadDim> first(0, half);
  split_weights(p, stride, group, weights[0]);
  pair_rows<T, kHeadDim>(place(first), values[0], 0, kTileRows, first.ahead);
  for (std::int64_t i = 0; i < turns; ++i) {
    const Turn<kHeadDim> now(i, half), next(i + 1 < turns ? i + 1 : 0, half);
    const std::int64_t side = i % 2;
    settle_memory();
    _tile_loadd(4, weights[side], kTileBytes);
    multiply_first<T>(values[side]);
    pair_rows<T, kHeadDim>(place(next), values[1 - side], 0, kFewPairs, next.ahead);
    multiply_last<T>(values[side]);
    split_weights(p + next.row, stride, group, weights[1 - side]);
    pair_rows<T, kHeadDim>(place(next), values[1 - side], kFewPairs, kTileRows, next.ahead);
    if (i + 1 == turns || next.slice != now.slice) store_sums(sums[now.slice]);
    if (next.slice != now.slice) load_sums(sums[next.slice]);
  }
  _tile_release();
  for (int h = 0; h < group; ++h) {
    for (int d = 0; d < kHeadDim; d += 16) {
      const auto& tile = sums[d / kSliceDims][d % kSliceDims / 16];
      const Vec both = avx512::add(avx512::load(tile[h]), avx512::load(tile[h + kMostHeads]));
      float* to = out + h * kHeadDim + d;
      avx512::store(to, avx512::add(avx512::load(to), both));
    }
  }
  return 2 * half;
}

#undef HG_INLINE

}  // namespace hybridgen::kernels::amx
