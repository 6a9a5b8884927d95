#include "runtime/cuda/kernels/rms_norm.cuh"

#include "runtime/cuda/kernels/device.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 512;

__global__ void rms_norm_kernel(RmsNormArgs args) {
  __shared__ float sums[kThreads / 32];
  std::int64_t token = blockIdx.x;
  if (args.last_of_rows != nullptr) {
    token = args.last_of_rows[blockIdx.x].first_query + args.last_of_rows[blockIdx.x].query_tokens - 1;
  }
  const float* x = args.x + token * args.n;
  float* y = args.y + static_cast<std::int64_t>(blockIdx.x) * args.n;
  float sum = 0;
  for (int i = threadIdx.x; i < args.n; i += kThreads) sum += x[i] * x[i];
  sum = sum_over<32>(sum);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = threadIdx.x % 32 < kThreads / 32 ? sums[threadIdx.x % 32] : 0.0F;
  sum = sum_over<32>(sum);
  const float factor = rsqrtf(sum / static_cast<float>(args.n) + args.eps);
  for (int i = threadIdx.x; i < args.n; i += kThreads) y[i] = x[i] * factor * args.weight[i];
}

}  // namespace

void rms_norm(const RmsNormArgs& args, std::int64_t blocks, cudaStream_t stream) {
  rms_norm_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(args);
  check_launch("rms_norm");
}

}  // namespace hybridgen::cuda
