#include "runtime/cuda/kernels/head_attention.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/pages.cuh"
#include "runtime/cuda/logic/slots.hpp"

namespace hybridgen::cuda {
namespace {

// A block per split and query head: heads of a group read pages of their own.
template <class T, int kDim>
__global__ void __launch_bounds__(kRowThreads) attend_pages_kernel(AttendPagesArgs args) {
  using Attention = HeadAttention<T, kDim>;
  const int head = blockIdx.y;
  const OpParams op = *args.op;
  const PagedRange paged{args.chosen + head * args.pages.pages, args.pages.page_tokens, 0, op.rows_per_head};
  const RowRange range = split_range(op.rows_per_head + op.tokens, args.splits, blockIdx.x, kRowGrain);
  const std::int64_t head_slots = head / args.heads.group() * args.kv.slots;
  float q[Attention::Rows::kElements];
  Attention::Rows::load_query(args.q + head * kDim, args.scale, q);
  Attention attention;
  attention.attend(range, q, [&](std::int64_t i) {
    const std::int64_t slot = i < paged.count ? paged.slot(i) : op.first_token + i - paged.count;
    return KvRow{args.kv.k, args.kv.v, head_slots + slot};
  });
  attention.finish(head, args.splits, args.space, args.out, nullptr);
}

}  // namespace

void attend_pages(const AttendPagesArgs& args, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(args.splits), static_cast<unsigned>(args.heads.query_heads));
  by_type(args.kv_type, args.heads, [&]<class T, int kDim>() {
    attend_pages_kernel<T, kDim><<<blocks, kRowThreads, 0, stream>>>(args);
  });
  check_launch("attend_pages");
}

}  // namespace hybridgen::cuda
