// The vector vocabulary of simd.hpp in AVX2 + FMA + F16C.
#pragma once

#include "runtime/kernels/simd_common.hpp"

namespace hybridgen::kernels::avx2 {

using Vec = __m256;
inline constexpr int kWidth = 8;
inline constexpr int kRegisters = 16;
inline constexpr int kHeadsPerPass = 3;  // of the 16 registers, 4 rows x 3 heads are accumulators

#define HG_INLINE HG_TARGET_AVX2 __attribute__((always_inline)) inline

HG_INLINE Vec zero() {
  return _mm256_setzero_ps();
}
HG_INLINE Vec set1(float x) {
  return _mm256_set1_ps(x);
}
HG_INLINE Vec load(const float* p) {
  return _mm256_loadu_ps(p);
}
HG_INLINE Vec load(const Half* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
HG_INLINE Vec load(const Bfloat* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
HG_INLINE void store(float* p, Vec v) {
  _mm256_storeu_ps(p, v);
}
HG_INLINE void store(Half* p, Vec v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
HG_INLINE void store(Bfloat* p, Vec v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  __m256i even = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256 nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);  // rounding could carry it away
  even =
      _mm256_blendv_epi8(even, _mm256_or_si256(bits, _mm256_set1_epi32(0x400000)), _mm256_castps_si256(nan));
  const __m256i high = _mm256_srli_epi32(even, 16);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1)));
}
// The first n (0 < n < kWidth) elements; the others read as zero and are not touched when stored.
template <class T>
HG_INLINE Vec load_first(const T* p, std::int64_t n) {
  T buffer[kWidth] = {};
  for (std::int64_t i = 0; i < n; ++i) buffer[i] = p[i];
  return load(buffer);
}
template <class T>
HG_INLINE void store_first(T* p, Vec v, std::int64_t n) {
  T buffer[kWidth];
  store(buffer, v);
  for (std::int64_t i = 0; i < n; ++i) p[i] = buffer[i];
}
HG_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return _mm256_fmadd_ps(a, b, c);
}
HG_INLINE Vec add(Vec a, Vec b) {
  return _mm256_add_ps(a, b);
}
HG_INLINE Vec sub(Vec a, Vec b) {
  return _mm256_sub_ps(a, b);
}
HG_INLINE Vec mul(Vec a, Vec b) {
  return _mm256_mul_ps(a, b);
}
HG_INLINE Vec div(Vec a, Vec b) {
  return _mm256_div_ps(a, b);
}
HG_INLINE Vec max(Vec a, Vec b) {
  return _mm256_max_ps(a, b);
}
HG_INLINE Vec min(Vec a, Vec b) {
  return _mm256_min_ps(a, b);
}
HG_INLINE float reduce_add(Vec v) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
HG_INLINE float reduce_max(Vec v) {
  __m128 x = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}
HG_INLINE float reduce_min(Vec v) {
  return -reduce_max(sub(zero(), v));
}

// The sums of four vectors, side by side.
HG_INLINE __m128 reduce_add4(Vec a, Vec b, Vec c, Vec d) {
  const Vec lanes = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
  return _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
}

HG_INLINE Vec exp(Vec x) {
  using namespace simd_detail;
  const Vec alive = _mm256_cmp_ps(x, set1(kExpLowest), _CMP_GE_OQ);
  x = _mm256_min_ps(_mm256_max_ps(x, set1(kExpLowest)), set1(kExpHighest));
  const Vec n = _mm256_round_ps(mul(x, set1(kLog2e)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  Vec r = _mm256_fnmadd_ps(n, set1(kLn2High), x);
  r = _mm256_fnmadd_ps(n, set1(kLn2Low), r);
  Vec p = set1(kExpPolynomial[0]);
  for (int i = 1; i < 6; ++i) p = fma(p, r, set1(kExpPolynomial[i]));
  p = add(fma(p, mul(r, r), r), set1(1.0f));
  const __m256i power =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_and_ps(mul(p, _mm256_castsi256_ps(power)), alive);
}

#undef HG_INLINE

}  // namespace hybridgen::kernels::avx2
