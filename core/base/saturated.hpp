// Products of sizes that a user wrote, which must not overflow before they are judged.
#pragma once

#include <initializer_list>

#include "core/base/units.hpp"

namespace hybridgen {

// What does not fit in 2^56 bytes fits nowhere: so much is said instead, and sums of it do not overflow.
inline constexpr Bytes kMoreThanAnything = 1LL << 56;

inline Bytes saturated_product(std::initializer_list<Bytes> factors) {
  Bytes product = 1;
  for (const Bytes factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product) || product > kMoreThanAnything)
      return kMoreThanAnything;
    if (product == 0) return 0;
  }
  return product;
}

}  // namespace hybridgen
