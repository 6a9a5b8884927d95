#include "runtime/cuda/kernels/swiglu.cuh"

#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/logic/small_ops.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;

// Blocks by token in y would end at 65535 tokens: x carries both.
__global__ void swiglu_kernel(float* gate_up, int ffn, int blocks_per_token) {
  const std::int64_t token = blockIdx.x / blocks_per_token;
  const int i = blockIdx.x % blocks_per_token * kThreads + threadIdx.x;
  if (i >= ffn) return;
  float* gate = gate_up + token * 2 * ffn;
  gate[i] = gated(gate[i], gate[ffn + i]);
}

}  // namespace

void swiglu(float* gate_up, int ffn, std::int64_t tokens, cudaStream_t stream) {
  const int blocks_per_token = (ffn + kThreads - 1) / kThreads;
  swiglu_kernel<<<static_cast<unsigned>(tokens * blocks_per_token), kThreads, 0, stream>>>(gate_up, ffn,
                                                                                           blocks_per_token);
  check_launch("swiglu");
}

}  // namespace hybridgen::cuda
