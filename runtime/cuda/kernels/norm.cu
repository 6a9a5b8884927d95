#include "runtime/cuda/kernels/norm.cuh"

#include "runtime/cuda/kernels/chained.cuh"
#include "runtime/cuda/kernels/device.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 512;

// In all threads of the block; `sums` is free again behind the next barrier but one.
__device__ float sum_of_block(float x, float* sums) {
  x = sum_over<32>(x);
  __syncthreads();  // an earlier sum has been read
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
  __syncthreads();
  return sum_over<32>(threadIdx.x % 32 < kThreads / 32 ? sums[threadIdx.x % 32] : 0.0F);
}

__global__ void __launch_bounds__(kThreads) norm_kernel(NormArgs args) {
  __shared__ float sums[kThreads / 32];
  let_next_begin();
  wait_for_previous();
  std::int64_t token = blockIdx.x;
  if (args.last_of_rows != nullptr) {
    token = args.last_of_rows[blockIdx.x].first_query + args.last_of_rows[blockIdx.x].query_tokens - 1;
  }
  const float* x = args.x + token * args.n;
  float* y = args.y + static_cast<std::int64_t>(blockIdx.x) * args.n;
  float mean = 0;
  if (args.bias != nullptr) {
    float sum = 0;
    for (int i = threadIdx.x; i < args.n; i += kThreads) sum += x[i];
    mean = sum_of_block(sum, sums) / static_cast<float>(args.n);
  }
  float squares = 0;
  for (int i = threadIdx.x; i < args.n; i += kThreads) squares += (x[i] - mean) * (x[i] - mean);
  const float factor = rsqrtf(sum_of_block(squares, sums) / static_cast<float>(args.n) + args.eps);
  for (int i = threadIdx.x; i < args.n; i += kThreads) {
    y[i] = (x[i] - mean) * factor * args.weight[i] + (args.bias != nullptr ? args.bias[i] : 0.0F);
  }
}

}  // namespace

void norm(const NormArgs& args, std::int64_t blocks, cudaStream_t stream) {
  launch_chained("norm", norm_kernel, static_cast<unsigned>(blocks), kThreads, stream, args);
}

}  // namespace hybridgen::cuda
