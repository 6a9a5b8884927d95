#include "runtime/cuda/kernels/activate.cuh"

#include "runtime/cuda/kernels/chained.cuh"
#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/logic/small_ops.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;

int blocks_per_token(int ffn) {
  return (ffn + kThreads - 1) / kThreads;
}

// Blocks by token in y would end at 65535 tokens: x carries both.
template <bool kGated>
__global__ void activate_kernel(float* x, int ffn, int blocks_of_token) {
  let_next_begin();
  wait_for_previous();
  const std::int64_t token = blockIdx.x / blocks_of_token;
  const int i = blockIdx.x % blocks_of_token * kThreads + threadIdx.x;
  if (i >= ffn) return;
  float* row = x + token * (kGated ? 2 : 1) * ffn;
  row[i] = kGated ? gated(row[i], row[ffn + i]) : fmaxf(row[i], 0.0F);
}

}  // namespace

void swiglu(float* gate_up, int ffn, std::int64_t tokens, cudaStream_t stream) {
  const int blocks = blocks_per_token(ffn);
  launch_chained("swiglu", activate_kernel<true>, static_cast<unsigned>(tokens * blocks), kThreads, stream,
                 gate_up, ffn, blocks);
}

void relu(float* x, int ffn, std::int64_t tokens, cudaStream_t stream) {
  const int blocks = blocks_per_token(ffn);
  launch_chained("relu", activate_kernel<false>, static_cast<unsigned>(tokens * blocks), kThreads, stream, x,
                 ffn, blocks);
}

}  // namespace hybridgen::cuda
