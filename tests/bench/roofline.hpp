// The two yardsticks of a host kernel, measured with nothing else around them: how fast one thread reads
// memory in order, and how many fp32 multiply-adds it does.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hybridgen::kernels {

// Loads `bytes` (a multiple of 256) in order with the widest loads of the active instruction set.
void read_in_order(const std::byte* data, std::int64_t bytes);

// Multiply-adds that one call of peak_fmas does.
inline constexpr std::int64_t kPeakFmas = std::int64_t{1} << 22;

// kPeakFmas fp32 multiply-adds on registers, in as many chains as the active instruction set has room for.
void peak_fmas();

}  // namespace hybridgen::kernels
