// Joins attention over two disjoint sets of rows into attention over both, where the first one lies.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct JoinPartialsArgs {
  HeadShape heads;
  float* out = nullptr;        // [query_heads][head_dim]: of the first set, then of both
  const float* lse = nullptr;  // [query_heads]: log-sum-exp of the first set's logits
  const float* other_out = nullptr;
  const float* other_lse = nullptr;
};
void join_partials(const JoinPartialsArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
