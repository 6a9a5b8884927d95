#include "runtime/cuda/kernels/joint_tensor.cuh"

#include "runtime/cuda/kernels/chained.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/tensor_rows.cuh"
#include "runtime/cuda/logic/slots.hpp"

namespace hybridgen::cuda {
namespace {

// Rows that `heads` query heads share, each with scores of its own: score(head, i) of row i, whose V lies at
// row(i). Lane 4 g + t asks for head g's.
template <int kDim, class Score, class Row>
__device__ void add_rows(const RowRange& range, int heads, const Score& score, const Row& row,
                         TensorSums<kDim>& sums) {
  const int head = static_cast<int>(threadIdx.x) % 32 / 4;
  for_each_tile_of_warp(range, [&](std::int64_t first) {
    TensorValues<kDim> v;
    v.load([&](int i) { return row(first + i < range.end ? first + i : first); });
    float logit[kLaneRows];
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const std::int64_t n = first + tile_row(i);
      logit[i] = head < heads && n < range.end ? score(head, n) : kNoLogit;
    }
    sums.add(logit, v);
  });
}

// The first blocks share the device's rows, split by split of each KV head; the others the packed ones, split
// by split of each set of heads that share theirs. All of a KV head's blocks join in one piece per query
// head.
template <int kDim>
__global__ void __launch_bounds__(kTensorThreads, 2) joint_tensor_kernel(JointAttendArgs args) {
  let_next_begin();
  wait_for_previous();
  const int group = args.heads.group();
  const int device_splits = args.splits - args.packed_splits;
  const int device_blocks = device_splits * args.heads.kv_heads;
  const int block = blockIdx.x;
  const OpParams op = *args.op;
  TensorSums<kDim> sums;
  int first_head = 0;
  int heads = 0;
  int split = 0;
  if (block < device_blocks) {
    const int kv_head = block / device_splits;
    split = block % device_splits;
    first_head = kv_head * group;
    heads = group;
    const RingRange ring = newest_tokens(op.context, op.tokens, args.kv.slots, args.kv.sinks);
    const auto* rows = reinterpret_cast<const __half*>(args.kv.v) + kv_head * args.kv.slots * kDim;
    add_rows<kDim>(
        split_range(op.tokens, device_splits, split, kRowGrain), heads,
        [&](int head, std::int64_t i) { return args.device_scores[(first_head + head) * args.stride + i]; },
        [&](std::int64_t i) { return rows + ring.slot(i) * kDim; }, sums);
  } else {
    const int packed_block = block - device_blocks;
    heads = args.offsets.group;
    first_head = packed_block / args.packed_splits * heads;
    split = packed_block % args.packed_splits;
    const PackedRows packed = args.offsets.of(first_head);
    const auto* rows = reinterpret_cast<const __half*>(args.packed) + packed.first_row * kDim;
    add_rows<kDim>(
        split_range(packed.count, args.packed_splits, split, kRowGrain), heads,
        [&](int head, std::int64_t i) {
          return args.host_scores[packed.first_score + head * packed.count + i];
        },
        [&](std::int64_t i) { return rows + i * kDim; }, sums);
    split += device_splits;
  }
  sums.write(heads, first_head, split, args.splits, args.space.pieces);
  const int kv_head = first_head / group;
  const int blocks = device_splits + args.packed_splits * (group / args.offsets.group);
  if (!arrives_last(args.space.arrived + kv_head, blocks)) return;
  join_pieces<kDim>(args.space.pieces, group, kv_head * group, args.splits, args.out, args.lse);
}

}  // namespace

void joint_tensor(const JointAttendArgs& args, cudaStream_t stream) {
  if (args.heads.group() < 1 || args.heads.group() > kTensorHeads) refuse_heads(args.heads);
  const dim3 blocks(static_cast<unsigned>((args.splits - args.packed_splits) * args.heads.kv_heads +
                                          args.packed_splits * args.heads.query_heads / args.offsets.group));
  if (args.heads.head_dim == 64) {
    launch_chained("joint_tensor", joint_tensor_kernel<64>, blocks, kTensorThreads, stream, args);
  } else if (args.heads.head_dim == 128) {
    launch_chained("joint_tensor", joint_tensor_kernel<128>, blocks, kTensorThreads, stream, args);
  } else {
    refuse_heads(args.heads);
  }
}

}  // namespace hybridgen::cuda
