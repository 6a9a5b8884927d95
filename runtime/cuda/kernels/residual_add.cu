#include "runtime/cuda/kernels/residual_add.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void residual_add_kernel(const float* x, float* y, std::int64_t elements) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < elements) y[i] += x[i];
}

}  // namespace

void residual_add(const float* x, float* y, std::int64_t elements, cudaStream_t stream) {
  residual_add_kernel<<<static_cast<unsigned>((elements + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
      x, y, elements);
  check_launch("residual_add");
}

}  // namespace hybridgen::cuda
