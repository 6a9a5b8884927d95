// y += x. The matrix kernels add the residual themselves (MatrixArgs::addend); this is for what they cannot.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

void residual_add(const float* x, float* y, std::int64_t elements, cudaStream_t stream);

}  // namespace hybridgen::cuda
