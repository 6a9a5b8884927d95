// The workspace in which the blocks of one attention leave their pieces (kernels/partials.cuh).
#pragma once

#include <cstdint>

#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

// Zeroed once; the last block leaves its counter at zero. One kernel at a time may use it: one stream.
struct PartialSpace {
  float* pieces = nullptr;      // [query_head][split][piece_floats(head_dim)]
  unsigned* arrived = nullptr;  // [head]: blocks that are done
};

// A piece: the weighted sum, then maximum and sum; a multiple of 16 bytes long, as vector loads want it.
HYBRIDGEN_HD constexpr int piece_floats(int head_dim) {
  return head_dim + 4;
}

// Floats that `splits` pieces of each query head take.
constexpr std::int64_t partial_floats(int query_heads, int splits, int head_dim) {
  return static_cast<std::int64_t>(query_heads) * splits * piece_floats(head_dim);
}

}  // namespace hybridgen::cuda
