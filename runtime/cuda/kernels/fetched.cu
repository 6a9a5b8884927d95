#include "runtime/cuda/kernels/fetched.cuh"

#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/partials.cuh"
#include "runtime/cuda/kernels/row_workers.cuh"
#include "runtime/cuda/logic/split.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void send_choice_kernel(SendChoiceArgs args) {
  const std::int64_t count = *args.count;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  for (std::int64_t i = first; i < args.heads * count; i += static_cast<std::int64_t>(gridDim.x) * kThreads) {
    const std::int64_t at = i / count * args.stride + i % count;
    args.host_rows[at] = args.chosen[at];
  }
  if (first == 0) *args.host_count = static_cast<std::int32_t>(count);
}

// A block per KV head.
__global__ void pool_row_kernel(PoolRowArgs args) {
  const std::int64_t head = blockIdx.x;
  const std::int64_t from = (head * args.from.slots + args.op->first_token) * args.row_bytes;
  const std::int64_t to = (head * args.to.slots + args.newest[head]) * args.row_bytes;
  const int units = args.row_bytes / 16;
  for (int i = threadIdx.x; i < 2 * units; i += kThreads) {
    const bool is_v = i >= units;
    const std::int64_t byte = static_cast<std::int64_t>(i % units) * 16;
    *reinterpret_cast<uint4*>((is_v ? args.to.v : args.to.k) + to + byte) =
        load_streaming((is_v ? args.from.v : args.from.k) + from + byte);
  }
}

// A block per split and query head.
template <class T, int kDim>
__global__ void __launch_bounds__(kRowThreads) attend_fetched_kernel(AttendFetchedArgs args) {
  using Rows = RowWorkers<T, kDim>;
  __shared__ BlockPieces<Rows::kCount, 1, kDim> pieces;
  const int head = blockIdx.y;
  const std::int64_t count = *args.count;
  const std::int64_t own = head / args.heads.group() * args.kv.slots + args.op->first_token;
  const RowRange range = split_range(count + 1, args.splits, blockIdx.x, kRowGrain);
  float q[Rows::kElements];
  Rows::load_query(args.q + head * kDim, args.scale, q);
  SoftmaxPiece piece;
  float sum[Rows::kElements] = {};
  // All lanes stay in the loop: the dot product needs their shuffles.
  for (std::int64_t base = range.begin; base < range.end; base += Rows::kCount) {
    const std::int64_t n = base + Rows::worker();
    const std::int64_t i = n < range.end ? n : range.begin;
    const bool packed = i < count;
    const std::int64_t at = packed ? head * count + i : own;
    float row[Rows::kElements];
    Vector<T>::unpack(load_streaming(Rows::at(packed ? args.packed_keys : args.kv.k, at)), row);
    const float logit = Rows::dot(q, row);
    if (n >= range.end) continue;
    Vector<T>::unpack(load_streaming(Rows::at(packed ? args.packed_values : args.kv.v, at)), row);
    const float factor = raise_max(piece, logit);
    const float share = add_row(piece, logit);
#pragma unroll
    for (int d = 0; d < Rows::kElements; ++d) sum[d] = sum[d] * factor + share * row[d];
  }
  if (Rows::lane() == 0) pieces.piece[Rows::worker()][0] = piece;
#pragma unroll
  for (int d = 0; d < Rows::kElements; ++d) {
    pieces.sum[Rows::worker()][0][Rows::lane() * Rows::kElements + d] = sum[d];
  }
  __syncthreads();
  write_piece(pieces, 1, head, blockIdx.x, args.splits, args.space.pieces);
  if (!arrives_last(args.space.arrived + head, args.splits)) return;
  join_pieces<kDim>(args.space.pieces, 1, head, args.splits, args.out, nullptr);
}

}  // namespace

void send_choice(const SendChoiceArgs& args, int blocks, cudaStream_t stream) {
  send_choice_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(args);
  check_launch("send_choice");
}

void pool_row(const PoolRowArgs& args, cudaStream_t stream) {
  pool_row_kernel<<<static_cast<unsigned>(args.kv_heads), kThreads, 0, stream>>>(args);
  check_launch("pool_row");
}

void attend_fetched(const AttendFetchedArgs& args, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(args.splits), static_cast<unsigned>(args.heads.query_heads));
  by_type(args.kv_type, args.heads, [&]<class T, int kDim>() {
    attend_fetched_kernel<T, kDim><<<blocks, kRowThreads, 0, stream>>>(args);
  });
  check_launch("attend_fetched");
}

}  // namespace hybridgen::cuda
