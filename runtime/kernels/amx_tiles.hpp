// What the kernels on the tile unit (AMX) share: how tiles are shaped, and how a number goes into it. The
// unit multiplies bf16, eight bits of precision. A number enters as two of them, itself rounded and what
// rounding left: an fp16 is then exact, an fp32 within 2^-17. Included by the kernels' .cpp files only.
#pragma once

#include "runtime/kernels/simd_avx512.hpp"

namespace hybridgen::kernels::amx {

using avx512::Vec;

inline constexpr int kTileRows = 16;
inline constexpr int kTileBytes = 64;  // of a row: 32 bf16 or 16 fp32
inline constexpr int kMostHeads = 8;   // half a tile: two parts of each

#define HG_INLINE HG_TARGET_AMX __attribute__((always_inline)) inline

// What ldtilecfg reads: palette 1, eight tiles of 16 rows x 64 bytes.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
  TileShapes() {
    for (int tile = 0; tile < 8; ++tile) row_bytes[tile] = kTileBytes, rows[tile] = kTileRows;
  }
};

// GCC's tile intrinsics do not say that they read and write memory.
HG_INLINE void settle_memory() {
  asm volatile("" ::: "memory");
}

// The two parts of 16 numbers, each rounded.
HG_INLINE void split(Vec x, Bfloat* high, Bfloat* low) {
  const __m256i rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
  const Vec rest = avx512::sub(x, avx512::widen<Bfloat>(rounded));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(high), rounded);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(rest)));
}

// 16 pairs as the right-hand side of a product wants them: 32-bit words, `first` in the lower half.
struct Pairs {
  __m512i high, low;
};

// Of two times 16 numbers with at most 16 significant bits: cut, not rounded, which is exact for them.
HG_INLINE Pairs split_pairs(Vec first, Vec second) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  const __m512i a = _mm512_castps_si512(first), b = _mm512_castps_si512(second);
  const __m512i high_a = _mm512_and_si512(a, upper), high_b = _mm512_and_si512(b, upper);
  const Vec low_a = avx512::sub(first, _mm512_castsi512_ps(high_a));
  const Vec low_b = avx512::sub(second, _mm512_castsi512_ps(high_b));
  return {_mm512_or_si512(_mm512_srli_epi32(a, 16), high_b),
          _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(low_a), 16), _mm512_castps_si512(low_b))};
}

#undef HG_INLINE

}  // namespace hybridgen::kernels::amx
