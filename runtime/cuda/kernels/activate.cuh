// What stands between the two products of an FFN, written over the first one's result.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

// silu(gate) * up. gate_up: [token][2 ffn], gate first; result in [token][0 .. ffn).
void swiglu(float* gate_up, int ffn, std::int64_t tokens, cudaStream_t stream);
// max(x, 0). x: [token][ffn].
void relu(float* x, int ffn, std::int64_t tokens, cudaStream_t stream);

}  // namespace hybridgen::cuda
