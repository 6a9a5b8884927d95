// The vector vocabulary of simd.hpp in AVX-512 F/BW/DQ/VL.
#pragma once

#include "runtime/kernels/simd_common.hpp"

namespace hybridgen::kernels::avx512 {

using Vec = __m512;
inline constexpr int kWidth = 16;
inline constexpr int kRegisters = 32;
inline constexpr int kHeadsPerPass = 4;  // of the 32 registers, 4 rows x 4 heads are accumulators

#define HG_INLINE HG_TARGET_AVX512 __attribute__((always_inline)) inline

HG_INLINE Vec zero() {
  return _mm512_setzero_ps();
}
HG_INLINE Vec set1(float x) {
  return _mm512_set1_ps(x);
}
HG_INLINE Vec load(const float* p) {
  return _mm512_loadu_ps(p);
}
// Sixteen stored elements as fp32.
template <class T>
HG_INLINE Vec widen(__m256i stored);
template <>
HG_INLINE Vec widen<Half>(__m256i stored) {
  return _mm512_cvtph_ps(stored);
}
template <>
HG_INLINE Vec widen<Bfloat>(__m256i stored) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(stored), 16));
}
// The nearest bf16 of each, ties to even.
HG_INLINE __m256i narrow(Vec v) {
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i even = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);  // rounding could carry it away
  const __m512i safe = _mm512_mask_or_epi32(even, nan, bits, _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(safe, 16));
}
HG_INLINE Vec load(const Bfloat* p) {
  return widen<Bfloat>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
HG_INLINE Vec load(const Half* p) {
  return widen<Half>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
HG_INLINE void store(float* p, Vec v) {
  _mm512_storeu_ps(p, v);
}
HG_INLINE void store(Half* p, Vec v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
HG_INLINE void store(Bfloat* p, Vec v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(v));
}
// The first n (0 < n < kWidth) elements; the others read as zero and are not touched when stored.
HG_INLINE __mmask16 first(std::int64_t n) {
  return static_cast<__mmask16>((1u << n) - 1u);
}
HG_INLINE Vec load_first(const float* p, std::int64_t n) {
  return _mm512_maskz_loadu_ps(first(n), p);
}
HG_INLINE Vec load_first(const Half* p, std::int64_t n) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p));
}
HG_INLINE Vec load_first(const Bfloat* p, std::int64_t n) {
  return widen<Bfloat>(_mm256_maskz_loadu_epi16(first(n), p));
}
HG_INLINE void store_first(Bfloat* p, Vec v, std::int64_t n) {
  _mm256_mask_storeu_epi16(p, first(n), narrow(v));
}
HG_INLINE void store_first(float* p, Vec v, std::int64_t n) {
  _mm512_mask_storeu_ps(p, first(n), v);
}
HG_INLINE void store_first(Half* p, Vec v, std::int64_t n) {
  _mm256_mask_storeu_epi16(p, first(n), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
HG_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return _mm512_fmadd_ps(a, b, c);
}
HG_INLINE Vec add(Vec a, Vec b) {
  return _mm512_add_ps(a, b);
}
HG_INLINE Vec sub(Vec a, Vec b) {
  return _mm512_sub_ps(a, b);
}
HG_INLINE Vec mul(Vec a, Vec b) {
  return _mm512_mul_ps(a, b);
}
HG_INLINE Vec div(Vec a, Vec b) {
  return _mm512_div_ps(a, b);
}
HG_INLINE Vec max(Vec a, Vec b) {
  return _mm512_max_ps(a, b);
}
HG_INLINE Vec min(Vec a, Vec b) {
  return _mm512_min_ps(a, b);
}
HG_INLINE float reduce_add(Vec v) {
  return _mm512_reduce_add_ps(v);
}
HG_INLINE float reduce_max(Vec v) {
  return _mm512_reduce_max_ps(v);
}
HG_INLINE float reduce_min(Vec v) {
  return _mm512_reduce_min_ps(v);
}

// The sums of four vectors, side by side.
HG_INLINE __m128 reduce_add4(Vec a, Vec b, Vec c, Vec d) {
  const Vec ab = add(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const Vec cd = add(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  const __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const Vec lanes = add(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

HG_INLINE Vec exp(Vec x) {
  using namespace simd_detail;
  const __mmask16 alive = _mm512_cmp_ps_mask(x, set1(kExpLowest), _CMP_GE_OQ);
  x = _mm512_min_ps(x, set1(kExpHighest));
  const Vec n = _mm512_roundscale_ps(mul(x, set1(kLog2e)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  Vec r = _mm512_fnmadd_ps(n, set1(kLn2High), x);
  r = _mm512_fnmadd_ps(n, set1(kLn2Low), r);
  Vec p = set1(kExpPolynomial[0]);
  for (int i = 1; i < 6; ++i) p = fma(p, r, set1(kExpPolynomial[i]));
  p = add(fma(p, mul(r, r), r), set1(1.0f));
  return _mm512_maskz_scalef_ps(alive, p, n);
}

#undef HG_INLINE

}  // namespace hybridgen::kernels::avx512
