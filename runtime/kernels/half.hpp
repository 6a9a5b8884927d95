// Scalar conversions of Half and Bfloat from and to float, for Half bit for bit what F16C does: round to
// nearest even, subnormals kept, overflow to infinity, NaN stays NaN. For single values and the scalar
// kernels; rows go through convert.hpp.
#pragma once

#include <bit>
#include <cstdint>

#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::kernels {

inline float to_float(Half value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = value.bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  if (magnitude >= 0x0400u) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
  const float small = static_cast<float>(magnitude) * 0x1p-24f;  // zero or subnormal: exact in fp32
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(small));
}

inline float to_float(float value) {
  return value;
}

inline float to_float(Bfloat value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

inline Bfloat to_bfloat(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return Bfloat{static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return Bfloat{static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

inline Half to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  std::uint32_t result = 0;
  if (magnitude > 0x7f800000u) {
    result = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  } else if (magnitude >= 0x477ff000u) {  // 65520 and more round to infinity
    result = 0x7c00u;
  } else if (magnitude >= 0x38800000u) {  // 2^-14: normal
    const std::uint32_t rebased = magnitude - 0x38000000u;
    result = (rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13;
  } else {
    // Adding 1/2 aligns the subnormal's last bit (2^-24) with fp32's at 1/2, and rounds to even on the way.
    const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    result = std::bit_cast<std::uint32_t>(aligned) - 0x3f000000u;
  }
  return Half{static_cast<std::uint16_t>(sign | result)};
}

}  // namespace hybridgen::kernels
