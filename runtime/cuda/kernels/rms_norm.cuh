// y = x / sqrt(mean(x^2) + eps) * weight, one block per token.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct RmsNormArgs {
  const float* x = nullptr;       // [query token][n]
  const float* weight = nullptr;  // [n]
  float* y = nullptr;             // [block][n]
  int n = 0;
  float eps = 0;
  // Not null: block r takes the last query token of row r (the one whose logits are wanted); else block t
  // takes token t.
  const RowParams* last_of_rows = nullptr;
};
void rms_norm(const RmsNormArgs& args, std::int64_t blocks, cudaStream_t stream);

}  // namespace hybridgen::cuda
