// silu(gate) * up, written over gate.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

// gate_up: [token][2 ffn], gate first; result in [token][0 .. ffn).
void swiglu(float* gate_up, int ffn, std::int64_t tokens, cudaStream_t stream);

}  // namespace hybridgen::cuda
