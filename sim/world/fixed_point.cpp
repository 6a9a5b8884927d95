#include "sim/world/fixed_point.hpp"

#include <array>
#include <bit>

#include "core/base/check.hpp"

namespace hybridgen {
namespace {

constexpr int kMantissaBits = 30;

// 2^(1/2), 2^(1/4), ... in units of 2^-30.
std::array<std::int64_t, kQ24Bits> roots_of_two() {
  std::array<std::int64_t, kQ24Bits> roots{};
  std::int64_t last = std::int64_t{2} << kMantissaBits;
  for (std::int64_t& root : roots) root = last = integer_root(last << kMantissaBits);
  return roots;
}

}  // namespace

std::int64_t integer_root(std::int64_t value) {
  HG_CHECK(value >= 0, "root of " << value);
  std::int64_t root = 0;
  for (std::int64_t bit = std::int64_t{1} << 31; bit > 0; bit >>= 1) {
    const std::int64_t next = root + bit;
    if (next <= value / next) root = next;
  }
  return root;
}

std::int64_t log2_q24(std::int64_t value) {
  HG_CHECK(value >= 1, "logarithm of " << value);
  const int whole = std::bit_width(static_cast<std::uint64_t>(value)) - 1;
  // In [1, 2): each squaring shows one binary digit of its logarithm.
  std::int64_t mantissa =
      whole > kMantissaBits ? value >> (whole - kMantissaBits) : value << (kMantissaBits - whole);
  std::int64_t result = std::int64_t{whole} << kQ24Bits;
  for (int digit = kQ24Bits - 1; digit >= 0; --digit) {
    mantissa = (mantissa * mantissa) >> kMantissaBits;
    if (mantissa >> (kMantissaBits + 1) == 0) continue;
    mantissa >>= 1;
    result += std::int64_t{1} << digit;
  }
  return result;
}

std::int64_t exp2_q24(std::int64_t exponent) {
  static const auto kRoots = roots_of_two();
  const std::int64_t whole = exponent >> kQ24Bits;  // rounded down
  HG_CHECK(whole <= 36, "2 to the power of " << whole);
  std::int64_t mantissa = std::int64_t{1} << kMantissaBits;
  for (int digit = 0; digit < kQ24Bits; ++digit) {
    if ((exponent >> (kQ24Bits - 1 - digit)) & 1) {
      mantissa = (mantissa * kRoots[static_cast<std::size_t>(digit)]) >> kMantissaBits;
    }
  }
  const std::int64_t shift = kMantissaBits - kQ24Bits - whole;
  if (shift <= 0) return mantissa << -shift;
  return shift > 40 ? 0 : mantissa >> shift;
}

}  // namespace hybridgen
