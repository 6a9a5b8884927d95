// The norms of a layer's input, one block per token: y = x / sqrt(mean(x^2) + eps) * weight, or with a bias
// y = (x - mean) / sqrt(variance + eps) * weight + bias.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct NormArgs {
  const float* x = nullptr;       // [query token][n]
  const float* weight = nullptr;  // [n]
  const float* bias = nullptr;    // [n]: a layer norm; null: an RMS norm
  float* y = nullptr;             // [block][n]
  int n = 0;
  float eps = 0;
  // Not null: block r takes the last query token of row r (the one whose logits are wanted); else block t
  // takes token t.
  const RowParams* last_of_rows = nullptr;
};
void norm(const NormArgs& args, std::int64_t blocks, cudaStream_t stream);

}  // namespace hybridgen::cuda
