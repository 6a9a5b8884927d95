// What kernels share: 16-byte loads of fp16, bf16 or fp32 rows as fp32, and reductions over lanes. Device
// code only.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>

#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffU;

// 16 bytes of a row: eight 16-bit or four fp32 elements. Addresses are multiples of 16 bytes.
template <class T>
struct Vector;

template <>
struct Vector<__half> {
  static constexpr int kElements = 8;
  static __device__ void unpack(uint4 raw, float (&x)[8]) {
    const unsigned words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      __half2 halves;
      memcpy(&halves, &words[i], sizeof halves);  // one register: no instruction
      const float2 pair = __half22float2(halves);
      x[2 * i] = pair.x;
      x[2 * i + 1] = pair.y;
    }
  }
};

// bf16 is the upper half of an fp32.
template <>
struct Vector<kernels::Bfloat> {
  static constexpr int kElements = 8;
  static __device__ void unpack(uint4 raw, float (&x)[8]) {
    const unsigned words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      x[2 * i] = __uint_as_float(words[i] << 16);
      x[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000U);
    }
  }
};

template <>
struct Vector<float> {
  static constexpr int kElements = 4;
  static __device__ void unpack(uint4 raw, float (&x)[4]) {
    x[0] = __uint_as_float(raw.x);
    x[1] = __uint_as_float(raw.y);
    x[2] = __uint_as_float(raw.z);
    x[3] = __uint_as_float(raw.w);
  }
};

// KV and weights are read once per step: streaming loads leave the cache to what is read again.
__device__ inline uint4 load_streaming(const void* address) {
  return __ldcs(static_cast<const uint4*>(address));
}

__device__ inline float to_fp32(float x) {
  return x;
}
__device__ inline float to_fp32(__half x) {
  return __half2float(x);
}
__device__ inline float to_fp32(kernels::Bfloat x) {
  return __uint_as_float(static_cast<unsigned>(x.bits) << 16);
}

__device__ inline void store(float* to, float x) {
  *to = x;
}
__device__ inline void store(__half* to, float x) {
  *to = __float2half_rn(x);
}
// To the nearest, ties to even; a NaN stays one.
__device__ inline void store(kernels::Bfloat* to, float x) {
  const unsigned bits = __float_as_uint(x);
  const bool nan = (bits & 0x7fffffffU) > 0x7f800000U;
  to->bits =
      static_cast<std::uint16_t>(nan ? bits >> 16 | 0x40U : (bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

// Sum over the `kLanes` neighbouring lanes of a warp, in all of them.
template <int kLanes>
__device__ float sum_over(float x) {
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

}  // namespace hybridgen::cuda
