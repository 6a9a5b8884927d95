// Quantities that cross room borders. Integers, so that two worlds can agree to the last digit.
#pragma once

#include <cstdint>

namespace hybridgen {

using TimeNs = std::int64_t;  // nanoseconds since the start of the run
using Bytes = std::int64_t;
using Tokens = std::int64_t;
using Ppm = std::int64_t;  // a ratio in millionths: 0.05 is 50'000

inline constexpr Ppm kPpmOne = 1'000'000;

}  // namespace hybridgen
