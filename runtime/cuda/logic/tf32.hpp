// fp32 as the sum of two tf32 values, so that tensor cores multiply fp32 activations by fp16 weights with
// almost fp32 accuracy: x = high + low up to 2^-22 |x|. An fp16 weight is a tf32 value as it is.
#pragma once

#include <bit>
#include <cstdint>

#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

// The nearest value with 10 bits behind the point, ties to even. Finite values below 2^127 only.
HYBRIDGEN_HD inline float round_to_tf32(float x) {
#if defined(__CUDA_ARCH__)
  const std::uint32_t bits = __float_as_uint(x);
  return __uint_as_float((bits + 0xfffU + ((bits >> 13) & 1U)) & ~0x1fffU);
#else
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return std::bit_cast<float>((bits + 0xfffU + ((bits >> 13) & 1U)) & ~0x1fffU);
#endif
}

struct Tf32Pair {
  float high = 0;
  float low = 0;
};

HYBRIDGEN_HD inline Tf32Pair split_tf32(float x) {
  const float high = round_to_tf32(x);
  return {high, round_to_tf32(x - high)};
}

}  // namespace hybridgen::cuda
