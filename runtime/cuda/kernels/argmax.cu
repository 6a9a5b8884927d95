#include "runtime/cuda/kernels/argmax.cuh"

#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/logic/small_ops.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 1024;

__device__ Best best_of_warp(Best best) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    best = better(
        best, {__shfl_xor_sync(kAllLanes, best.value, step), __shfl_xor_sync(kAllLanes, best.index, step)});
  }
  return best;
}

// One block: the vocabulary is half a megabyte at most.
__global__ void __launch_bounds__(kThreads) argmax_kernel(ArgmaxArgs args) {
  __shared__ Best warps[kThreads / 32];
  Best best;
  for (int i = threadIdx.x; i < args.vocab; i += kThreads) best = better(best, {args.logits[i], i});
  best = best_of_warp(best);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = best;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  best = best_of_warp(warps[threadIdx.x]);
  if (threadIdx.x != 0) return;
  const std::int32_t token = args.forced != nullptr ? args.forced[args.op->generated] : best.index;
  args.tokens[args.op->context] = token;
  *args.to_host = token;
}

}  // namespace

void argmax(const ArgmaxArgs& args, cudaStream_t stream) {
  argmax_kernel<<<1, kThreads, 0, stream>>>(args);
  check_launch("argmax");
}

}  // namespace hybridgen::cuda
