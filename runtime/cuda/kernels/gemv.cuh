// Weights times the activations of a few tokens: reads the weights once, at the speed of the memory. What
// comes before the product in a layer is done while the activations are read, so that it costs no launch of
// its own.
#pragma once

#include "runtime/cuda/kernels/matrix.cuh"

namespace hybridgen::cuda {

inline constexpr int kMostGemvTokens = 4;

struct GemvInput {
  enum class Kind {
    plain,   // x as it is
    normed,  // RMSNorm of x
    gated,   // silu(x[c]) * x[cols + c]: a token's row is gate, then up
  };
  Kind kind = Kind::plain;
  const float* weight = nullptr;  // normed: [cols]
  float eps = 0;                  // normed
};

// 1 <= tokens <= kMostGemvTokens.
void gemv(const MatrixArgs& args, const GemvInput& input, int tokens, cudaStream_t stream);

}  // namespace hybridgen::cuda
