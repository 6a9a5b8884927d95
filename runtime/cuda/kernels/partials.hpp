// The workspace in which the blocks of one attention leave their pieces (kernels/partials.cuh).
#pragma once

#include <cstdint>

namespace hybridgen::cuda {

// Zeroed once; the last block leaves its counter at zero. One kernel at a time may use it: one stream.
struct PartialSpace {
  float* pieces = nullptr;      // [query_head][split][head_dim + 2]
  unsigned* arrived = nullptr;  // [head]: blocks that are done
};

// Floats that `splits` pieces of each query head take.
constexpr std::int64_t partial_floats(int query_heads, int splits, int head_dim) {
  return static_cast<std::int64_t>(query_heads) * splits * (head_dim + 2);
}

}  // namespace hybridgen::cuda
