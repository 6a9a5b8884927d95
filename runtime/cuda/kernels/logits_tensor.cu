#include "runtime/cuda/kernels/logits_tensor.cuh"

#include "runtime/cuda/kernels/chained.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/tensor_rows.cuh"
#include "runtime/cuda/logic/slots.hpp"

namespace hybridgen::cuda {
namespace {

// A block per split and KV head.
template <int kDim>
__global__ void __launch_bounds__(kTensorThreads, 2) logits_tensor_kernel(DeviceLogitsArgs args) {
  __shared__ __align__(16) TensorQueries<kDim> q;
  let_next_begin();
  const OpParams op = *args.op;  // the step's, written before its first kernel
  const RingRange ring = newest_tokens(op.context, op.tokens, args.kv.slots, args.kv.sinks);
  wait_for_previous();
  const int kv_head = blockIdx.y;
  const int group = args.heads.group();
  const int first_head = kv_head * group;
  q.load(args.q + first_head * kDim, group, args.scale);
  __syncthreads();
  const RowRange range = split_range(op.tokens, args.splits, blockIdx.x, kRowGrain);
  const auto* k_rows = reinterpret_cast<const __half*>(args.kv.k) + kv_head * args.kv.slots * kDim;
  const int head = static_cast<int>(threadIdx.x) % 32 / 4;
  float* scores = args.scores + (first_head + head) * args.stride;
  constexpr int kTiles = 2;  // under way: there is no V to wait for
  for_each_tile_of_warp<kTiles * kTensorRows>(range, [&](std::int64_t first) {
    TensorKeys<kDim> k[kTiles];
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      const std::int64_t begin = first + tile * kTensorRows;
      k[tile].load(
          [&](int i) { return k_rows + ring.slot(begin + i < range.end ? begin + i : first) * kDim; });
    }
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      float logit[kLaneRows];
      k[tile].multiply(q, logit);
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) {
        const std::int64_t n = first + tile * kTensorRows + tile_row(i);
        if (head < group && n < range.end) scores[n] = logit[i];
      }
    }
  });
}

}  // namespace

void logits_tensor(const DeviceLogitsArgs& args, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(args.splits), static_cast<unsigned>(args.heads.kv_heads));
  if (args.heads.group() < 1 || args.heads.group() > kTensorHeads) refuse_heads(args.heads);
  if (args.heads.head_dim == 64) {
    launch_chained("logits_tensor", logits_tensor_kernel<64>, blocks, kTensorThreads, stream, args);
  } else if (args.heads.head_dim == 128) {
    launch_chained("logits_tensor", logits_tensor_kernel<128>, blocks, kTensorThreads, stream, args);
  } else {
    refuse_heads(args.heads);
  }
}

}  // namespace hybridgen::cuda
