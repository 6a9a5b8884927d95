// Weights times the activations of many tokens, on tensor cores in tf32: each activation is the sum of two
// tf32 values (logic/tf32.hpp), so results are as exact as fp32 sums and no activation can overflow fp16.
#pragma once

#include "runtime/cuda/kernels/matrix.cuh"

namespace hybridgen::cuda {

void gemm(const MatrixArgs& args, std::int64_t tokens, cudaStream_t stream);

}  // namespace hybridgen::cuda
