// What kernels share: 16-byte loads of fp16 or fp32 rows as fp32, and reductions over lanes. Device code
// only.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>

namespace hybridgen::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffU;

// 16 bytes of a row: eight fp16 or four fp32 elements. Addresses are multiples of 16 bytes.
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

__device__ inline void store(float* to, float x) {
  *to = x;
}
__device__ inline void store(__half* to, float x) {
  *to = __float2half_rn(x);
}

// Sum over the `kLanes` neighbouring lanes of a warp, in all of them.
template <int kLanes>
__device__ float sum_over(float x) {
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

}  // namespace hybridgen::cuda
