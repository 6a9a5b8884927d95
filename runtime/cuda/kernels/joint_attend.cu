#include "runtime/cuda/kernels/joint_attend.cuh"

#include "runtime/cuda/kernels/head_attention.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/joint_tensor.cuh"
#include "runtime/cuda/logic/joint_rows.hpp"
#include "runtime/cuda/logic/slots.hpp"

namespace hybridgen::cuda {
namespace {

// Where a row's logit and V lie.
struct JointRow {
  float logit = kNoLogit;
  const std::byte* rows = nullptr;
  std::int64_t at = 0;  // among `rows`
};

__device__ JointRow joint_row(const JointAttendArgs& args, const JointRows& rows, const RingRange& ring,
                              int head, std::int64_t i) {
  if (rows.on_device(i)) {
    const std::int64_t head_slots = head / args.heads.group() * args.kv.slots;
    return {args.device_scores[head * args.stride + i], args.kv.v, head_slots + ring.slot(i)};
  }
  return {args.host_scores[rows.packed_score(i)], args.packed, rows.packed_row(i)};
}

// A block per split and query head. Logits are there already, so workers need no lane of another row.
template <class T, int kDim>
__global__ void __launch_bounds__(kRowThreads) joint_attend_kernel(JointAttendArgs args) {
  using Attention = HeadAttention<T, kDim>;
  using Rows = typename Attention::Rows;
  const int head = blockIdx.y;
  const OpParams op = *args.op;
  const RingRange ring = newest_tokens(op.context, op.tokens, args.kv.slots, args.kv.sinks);
  const JointRows rows{op.tokens, args.offsets.of(head)};
  const RowRange range = split_range(rows.count(), args.splits, blockIdx.x, kRowGrain);
  Attention attention;
  for (std::int64_t base = range.begin + Rows::worker(); base < range.end; base += kRowTile * Rows::kCount) {
    float logit[kRowTile];
    uint4 v[kRowTile];
#pragma unroll
    for (int u = 0; u < kRowTile; ++u) {
      const std::int64_t n = base + u * Rows::kCount;
      const JointRow row = joint_row(args, rows, ring, head, n < range.end ? n : base);
      v[u] = load_streaming(Rows::at(row.rows, row.at));
      logit[u] = n < range.end ? row.logit : kNoLogit;
    }
    attention.add(logit, v);
  }
  attention.finish(head, args.splits, args.space, args.out, args.lse);
}

}  // namespace

void joint_attend(const JointAttendArgs& args, cudaStream_t stream) {
  if (args.kv_type == KvType::f16) return joint_tensor(args, stream);
  const dim3 blocks(static_cast<unsigned>(args.splits), static_cast<unsigned>(args.heads.query_heads));
  by_type(args.kv_type, args.heads, [&]<class T, int kDim>() {
    joint_attend_kernel<T, kDim><<<blocks, kRowThreads, 0, stream>>>(args);
  });
  check_launch("joint_attend");
}

}  // namespace hybridgen::cuda
