// Logarithm, power and root of 2 in integers, so that a law with an exponent gives the same counts on every
// platform. Q24: 2^24 is one. Errors below 2^-20 of the result.
#pragma once

#include <cstdint>

namespace hybridgen {

inline constexpr int kQ24Bits = 24;
inline constexpr std::int64_t kQ24One = std::int64_t{1} << kQ24Bits;

// Base 2, of a value of at least 1.
std::int64_t log2_q24(std::int64_t value);
// 2^exponent as Q24, for exponents (Q24) up to 36; 0 where the result is below one unit.
std::int64_t exp2_q24(std::int64_t exponent);
// The largest integer whose square is at most `value`.
std::int64_t integer_root(std::int64_t value);

}  // namespace hybridgen
