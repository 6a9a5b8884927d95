// Weights times the activations of a few tokens: reads the weights once, at the speed of the memory.
#pragma once

#include "runtime/cuda/kernels/matrix.cuh"

namespace hybridgen::cuda {

inline constexpr int kMostGemvTokens = 4;

// 1 <= tokens <= kMostGemvTokens.
void gemv(const MatrixArgs& args, int tokens, cudaStream_t stream);

}  // namespace hybridgen::cuda
