#include "runtime/cuda/kernels/attend_tensor.cuh"

#include "runtime/cuda/kernels/chained.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/tensor_rows.cuh"
#include "runtime/cuda/logic/slots.hpp"

namespace hybridgen::cuda {
namespace {

template <int kDim>
__device__ void attend_rows(const AttendArgs& args, const RingRange& ring, const TensorQueries<kDim>& q,
                            int kv_head, TensorSums<kDim>& sums) {
  const RowRange range = split_range(ring.count, args.splits, blockIdx.x, kRowGrain);
  const auto* k_rows = reinterpret_cast<const __half*>(args.kv.k) + kv_head * args.kv.slots * kDim;
  const auto* v_rows = reinterpret_cast<const __half*>(args.kv.v) + kv_head * args.kv.slots * kDim;
  for_each_tile_of_warp(range, [&](std::int64_t first) {
    const int count = static_cast<int>(min(range.end - first, static_cast<std::int64_t>(kTensorRows)));
    // Behind the last row its first one again; that it is not there shows in the logit.
    const auto slot = [&](int i) { return ring.slot(first + (i < count ? i : 0)) * kDim; };
    TensorKeys<kDim> k;
    TensorValues<kDim> v;
    k.load([&](int i) { return k_rows + slot(i); });
    v.load([&](int i) { return v_rows + slot(i); });
    float logit[kLaneRows];
    k.multiply(q, logit);
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      if (tile_row(i) >= count) logit[i] = kNoLogit;
    }
    sums.add(logit, v);
  });
}

// A block per split and KV head.
template <int kDim>
__global__ void __launch_bounds__(kTensorThreads, 2) attend_tensor_kernel(AttendArgs args) {
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
  TensorSums<kDim> sums;
  attend_rows<kDim>(args, ring, q, kv_head, sums);
  sums.write(group, first_head, blockIdx.x, args.splits, args.space.pieces);
  if (!arrives_last(args.space.arrived + kv_head, args.splits)) return;
  join_pieces<kDim>(args.space.pieces, group, first_head, args.splits, args.out, args.lse);
}

}  // namespace

void attend_tensor(const AttendArgs& args, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(args.splits), static_cast<unsigned>(args.heads.kv_heads));
  if (args.heads.group() < 1 || args.heads.group() > kTensorHeads) refuse_heads(args.heads);
  if (args.heads.head_dim == 64) {
    launch_chained("attend_tensor", attend_tensor_kernel<64>, blocks, kTensorThreads, stream, args);
  } else if (args.heads.head_dim == 128) {
    launch_chained("attend_tensor", attend_tensor_kernel<128>, blocks, kTensorThreads, stream, args);
  } else {
    refuse_heads(args.heads);
  }
}

}  // namespace hybridgen::cuda
