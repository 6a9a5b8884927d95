// The CPU's side of a flag in mapped memory (kernels/flags.cuh is the GPU's): a word that takes the number of
// the step in which it was raised.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/host/wait_flag.hpp"

namespace hybridgen::cuda {

// Flags lie a cache line apart, so that neither side's polling slows another flag's.
inline constexpr std::size_t kFlagStride = 16;  // words

inline void raise(std::uint32_t& flag, std::uint32_t sequence) {
  std::atomic_ref(flag).store(sequence, std::memory_order_release);
}

// Spins: a GPU cannot wake a sleeping thread. False when `abandon` was raised instead.
inline bool wait_until_raised(std::uint32_t& flag, std::uint32_t sequence, std::uint32_t& abandon) {
  while (std::atomic_ref(flag).load(std::memory_order_acquire) != sequence) {
    if (std::atomic_ref(abandon).load(std::memory_order_relaxed) != 0) return false;
    cpu_relax();
  }
  return true;
}

}  // namespace hybridgen::cuda
