// What both instruction sets share: the intrinsics, the targets and the constants of exp. See simd.hpp.
#pragma once

// GCC 12 takes the deliberately undefined operand inside its own AVX-512 intrinsics for a bug of ours (GCC PR
// 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstdint>

#include "runtime/kernels/kv_type.hpp"

#define HG_TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define HG_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define HG_TARGET_AMX \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512bf16,amx-tile,amx-bf16")))

namespace hybridgen::kernels::simd_detail {
// exp(x) = 2^n * p(r): n = round(x log2 e), r = x - n ln 2 in two parts, p a degree-6 Taylor-like polynomial
// (Cephes expf): relative error below 2e-7. Below kExpLowest the result is 0.
inline constexpr float kLog2e = 1.44269504088896341f;
inline constexpr float kLn2High = 0.693359375f;
inline constexpr float kLn2Low = -2.12194440e-4f;
inline constexpr float kExpLowest = -87.33654f;
inline constexpr float kExpHighest = 88.02f;
inline constexpr float kExpPolynomial[6] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                            4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
}  // namespace hybridgen::kernels::simd_detail
