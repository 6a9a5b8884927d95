// One query head's attention over its share of rows, wherever these lie: a block per split and query head,
// whose workers each keep a running softmax. Device code only.
#pragma once

#include "runtime/cuda/kernels/partials.cuh"
#include "runtime/cuda/kernels/row_workers.cuh"
#include "runtime/cuda/logic/split.hpp"

namespace hybridgen::cuda {

// A row of K and of V, the `at`-th of theirs.
struct KvRow {
  const std::byte* k = nullptr;
  const std::byte* v = nullptr;
  std::int64_t at = 0;
};

template <class T, int kDim>
struct HeadAttention {
  using Rows = RowWorkers<T, kDim>;
  SoftmaxPiece piece;
  float sum[Rows::kElements] = {};

  // The worker's next rows: their logits, kNoLogit where there is none, and the lane's part of their V.
  // Earlier sums are brought to the new maximum once for all of them.
  __device__ void add(const float (&logit)[kRowTile], const uint4 (&v)[kRowTile]) {
    float most = logit[0];
#pragma unroll
    for (int u = 1; u < kRowTile; ++u) most = fmaxf(most, logit[u]);
    const float factor = raise_max(piece, most);
#pragma unroll
    for (int i = 0; i < Rows::kElements; ++i) sum[i] *= factor;
#pragma unroll
    for (int u = 0; u < kRowTile; ++u) {
      float row[Rows::kElements];
      Vector<T>::unpack(v[u], row);
      const float share = add_row(piece, logit[u]);
#pragma unroll
      for (int i = 0; i < Rows::kElements; ++i) sum[i] += share * row[i];
    }
  }

  // Rows `range`, of which row_at(i) is the i-th.
  template <class RowAt>
  __device__ void attend(const RowRange& range, const float (&q)[Rows::kElements], const RowAt& row_at) {
    // All lanes stay in the loop, also those whose row is not there: the dot product needs their shuffles.
    for (std::int64_t base = range.begin; base < range.end; base += kRowTile * Rows::kCount) {
      uint4 k[kRowTile];
      uint4 v[kRowTile];
      float logit[kRowTile];
#pragma unroll
      for (int u = 0; u < kRowTile; ++u) {
        const std::int64_t n = base + u * Rows::kCount + Rows::worker();
        const KvRow row = row_at(n < range.end ? n : range.begin);
        k[u] = load_streaming(Rows::at(row.k, row.at));
        v[u] = load_streaming(Rows::at(row.v, row.at));
      }
#pragma unroll
      for (int u = 0; u < kRowTile; ++u) {
        float row[Rows::kElements];
        Vector<T>::unpack(k[u], row);
        const float product = Rows::dot(q, row);
        logit[u] = base + u * Rows::kCount + Rows::worker() < range.end ? product : kNoLogit;
      }
      add(logit, v);
    }
  }

  // The last of the head's blocks to come here joins all. space.arrived: by query head.
  __device__ void finish(int head, int splits, const PartialSpace& space, float* out, float* lse) const {
    // Here: in a kernel that also makes a closure nvcc takes it for initialised at run time.
    __shared__ BlockPieces<Rows::kCount, 1, kDim> pieces;
    if (Rows::lane() == 0) pieces.piece[Rows::worker()][0] = piece;
#pragma unroll
    for (int i = 0; i < Rows::kElements; ++i) {
      pieces.sum[Rows::worker()][0][Rows::lane() * Rows::kElements + i] = sum[i];
    }
    __syncthreads();
    write_piece(pieces, 1, head, blockIdx.x, splits, space.pieces);
    if (!arrives_last(space.arrived + head, splits)) return;
    join_pieces<kDim>(space.pieces, 1, head, splits, out, lse);
  }
};

}  // namespace hybridgen::cuda
