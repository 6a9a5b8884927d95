#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/pages.cuh"
#include "runtime/cuda/kernels/partials.cuh"
#include "runtime/cuda/kernels/row_workers.cuh"
#include "runtime/cuda/logic/slots.hpp"
#include "runtime/cuda/logic/split.hpp"

namespace hybridgen::cuda {
namespace {

// A block per split and query head: heads of a group read pages of their own.
template <class T, int kDim>
__global__ void __launch_bounds__(kRowThreads) attend_pages_kernel(AttendPagesArgs args) {
  using Rows = RowWorkers<T, kDim>;
  __shared__ BlockPieces<Rows::kCount, 1, kDim> pieces;
  const int head = blockIdx.y;
  const OpParams op = *args.op;
  const PagedRange paged{args.chosen + head * args.pages.pages, args.pages.page_tokens, 0, op.rows_per_head};
  const std::int64_t rows = op.rows_per_head + op.tokens;
  const RowRange range = split_range(rows, args.splits, blockIdx.x, kRowGrain);
  const std::int64_t head_slots = head / args.heads.group() * args.kv.slots;
  float q[Rows::kElements];
  Rows::load_query(args.q + head * kDim, args.scale, q);
  SoftmaxPiece piece;
  float sum[Rows::kElements] = {};
  // All lanes stay in the loop, also those whose row is not there: the dot product needs their shuffles.
  for (std::int64_t base = range.begin; base < range.end; base += kRowTile * Rows::kCount) {
    uint4 k[kRowTile];
    uint4 v[kRowTile];
#pragma unroll
    for (int u = 0; u < kRowTile; ++u) {
      const std::int64_t n = base + u * Rows::kCount + Rows::worker();
      const std::int64_t i = n < range.end ? n : range.begin;
      const std::int64_t slot = i < paged.count ? paged.slot(i) : op.first_token + i - paged.count;
      k[u] = load_streaming(Rows::at(args.kv.k, head_slots + slot));
      v[u] = load_streaming(Rows::at(args.kv.v, head_slots + slot));
    }
    float weight[kRowTile];
    float most = kNoLogit;
#pragma unroll
    for (int u = 0; u < kRowTile; ++u) {
      float row[Rows::kElements];
      Vector<T>::unpack(k[u], row);
      const float logit = Rows::dot(q, row);
      weight[u] = base + u * Rows::kCount + Rows::worker() < range.end ? logit : kNoLogit;
      most = fmaxf(most, weight[u]);
    }
    const float factor = raise_max(piece, most);
#pragma unroll
    for (int i = 0; i < Rows::kElements; ++i) sum[i] *= factor;
#pragma unroll
    for (int u = 0; u < kRowTile; ++u) {
      float row[Rows::kElements];
      Vector<T>::unpack(v[u], row);
      const float share = add_row(piece, weight[u]);
#pragma unroll
      for (int i = 0; i < Rows::kElements; ++i) sum[i] += share * row[i];
    }
  }
  if (Rows::lane() == 0) pieces.piece[Rows::worker()][0] = piece;
#pragma unroll
  for (int i = 0; i < Rows::kElements; ++i) {
    pieces.sum[Rows::worker()][0][Rows::lane() * Rows::kElements + i] = sum[i];
  }
  __syncthreads();
  write_piece(pieces, 1, head, blockIdx.x, args.splits, args.space.pieces);
  if (!arrives_last(args.space.arrived + head, args.splits)) return;
  join_pieces<kDim>(args.space.pieces, 1, head, args.splits, args.out, nullptr);
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
