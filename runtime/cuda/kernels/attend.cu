#include "runtime/cuda/kernels/attend.cuh"

#include "runtime/cuda/kernels/attend_tensor.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/partials.cuh"
#include "runtime/cuda/kernels/row_workers.cuh"
#include "runtime/cuda/logic/slots.hpp"
#include "runtime/cuda/logic/split.hpp"

namespace hybridgen::cuda {
namespace {

// One worker's attention: its piece and its lane's part of the weighted sum, per query head of the group.
template <class T, int kDim, int kHeads>
struct WorkerState {
  using Rows = RowWorkers<T, kDim>;
  float q[kHeads][Rows::kElements];
  SoftmaxPiece piece[kHeads];
  float sum[kHeads][Rows::kElements] = {};

  // logit[u][h] of a tile becomes the weight; earlier sums are brought to the new maximum once per tile.
  __device__ void weigh(float (&logit)[kRowTile][kHeads], int group) {
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      if (h >= group) break;
      float most = logit[0][h];
#pragma unroll
      for (int u = 1; u < kRowTile; ++u) most = fmaxf(most, logit[u][h]);
      const float factor = raise_max(piece[h], most);
#pragma unroll
      for (int i = 0; i < Rows::kElements; ++i) sum[h][i] *= factor;
#pragma unroll
      for (int u = 0; u < kRowTile; ++u) logit[u][h] = add_row(piece[h], logit[u][h]);
    }
  }

  __device__ void add(const float (&weight)[kHeads], uint4 raw, int group) {
    float v[Rows::kElements];
    Vector<T>::unpack(raw, v);
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      if (h >= group) break;
#pragma unroll
      for (int i = 0; i < Rows::kElements; ++i) sum[h][i] += weight[h] * v[i];
    }
  }
};

template <class T, int kDim, int kHeads>
__device__ void attend_rows(const AttendArgs& args, int kv_head, WorkerState<T, kDim, kHeads>& state) {
  using Rows = RowWorkers<T, kDim>;
  const OpParams op = *args.op;
  const RingRange ring = newest_tokens(op.context, op.tokens, args.kv.slots, args.kv.sinks);
  const RowRange range = split_range(op.tokens, args.splits, blockIdx.x, kRowGrain);
  const int group = args.heads.group();
  const std::int64_t head_slots = kv_head * args.kv.slots;
  // All lanes stay in the loop, also those whose row is not there: the dot product needs their shuffles.
  for (std::int64_t base = range.begin; base < range.end; base += kRowTile * Rows::kCount) {
    uint4 k[kRowTile];
    uint4 v[kRowTile];
    bool there[kRowTile];
#pragma unroll
    for (int u = 0; u < kRowTile; ++u) {
      const std::int64_t n = base + u * Rows::kCount + Rows::worker();
      there[u] = n < range.end;
      const std::int64_t slot = head_slots + ring.slot(there[u] ? n : range.begin);
      k[u] = load_streaming(Rows::at(args.kv.k, slot));
      v[u] = load_streaming(Rows::at(args.kv.v, slot));
    }
    float weight[kRowTile][kHeads];
#pragma unroll
    for (int u = 0; u < kRowTile; ++u) {
      float row[Rows::kElements];
      Vector<T>::unpack(k[u], row);
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        weight[u][h] = kNoLogit;
        if (h >= group) continue;
        const float logit = Rows::dot(state.q[h], row);
        if (there[u]) weight[u][h] = logit;
      }
    }
    state.weigh(weight, group);
#pragma unroll
    for (int u = 0; u < kRowTile; ++u) state.add(weight[u], v[u], group);
  }
}

// A block per split and KV head.
template <class T, int kDim, int kHeads>
__global__ void __launch_bounds__(kRowThreads) attend_kernel(AttendArgs args) {
  using Rows = RowWorkers<T, kDim>;
  __shared__ BlockPieces<Rows::kCount, kHeads, kDim> pieces;
  const int kv_head = blockIdx.y;
  const int group = args.heads.group();
  const int first_head = kv_head * group;
  WorkerState<T, kDim, kHeads> state;
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    if (h < group) Rows::load_query(args.q + (first_head + h) * kDim, args.scale, state.q[h]);
  }
  attend_rows(args, kv_head, state);
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    if (h >= group) break;
    if (Rows::lane() == 0) pieces.piece[Rows::worker()][h] = state.piece[h];
#pragma unroll
    for (int i = 0; i < Rows::kElements; ++i) {
      pieces.sum[Rows::worker()][h][Rows::lane() * Rows::kElements + i] = state.sum[h][i];
    }
  }
  __syncthreads();
  write_piece(pieces, group, first_head, blockIdx.x, args.splits, args.space.pieces);
  if (!arrives_last(args.space.arrived + kv_head, args.splits)) return;
  join_pieces<kDim>(args.space.pieces, group, first_head, args.splits, args.out, args.lse);
}

template <class T, int kDim, int kHeads>
void launch(const AttendArgs& args, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(args.splits), static_cast<unsigned>(args.heads.kv_heads));
  attend_kernel<T, kDim, kHeads><<<blocks, kRowThreads, 0, stream>>>(args);
}

}  // namespace

void attend(const AttendArgs& args, cudaStream_t stream) {
  if (args.kv_type == KvType::f16) return attend_tensor(args, stream);
  by_type_and_group(args.kv_type, args.heads,
                    [&]<class T, int kDim, int kHeads>() { launch<T, kDim, kHeads>(args, stream); });
  check_launch("attend");
}

}  // namespace hybridgen::cuda
