// How a block's attention over its share of rows joins the other blocks': each writes a piece (maximum, sum,
// weighted sum of V) into the workspace, and the last one to arrive joins them. No second launch. Device
// code.
#pragma once

#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/kernels/partials.hpp"
#include "runtime/cuda/logic/online_softmax.hpp"

namespace hybridgen::cuda {

// What a block's workers bring: a worker is the group of lanes that reads a row together.
template <int kWorkers, int kHeads, int kDim>
struct BlockPieces {
  SoftmaxPiece piece[kWorkers][kHeads];
  float sum[kWorkers][kHeads][kDim];
};

// Joins the workers' pieces of `heads` heads and writes them as this split's piece of query heads first_head
// + h. After a __syncthreads().
template <int kWorkers, int kHeads, int kDim>
__device__ void write_piece(const BlockPieces<kWorkers, kHeads, kDim>& pieces, int heads, int first_head,
                            int split, int splits, float* workspace) {
  for (int i = threadIdx.x; i < heads * kDim; i += blockDim.x) {
    const int h = i / kDim;
    const int d = i % kDim;
    SoftmaxPiece whole;
    for (int w = 0; w < kWorkers; ++w) whole = merged(whole, pieces.piece[w][h]);
    float sum = 0;
    for (int w = 0; w < kWorkers; ++w) {
      sum += pieces.sum[w][h][d] * rescale(pieces.piece[w][h].max, whole.max);
    }
    float* to = workspace + (static_cast<std::int64_t>(first_head + h) * splits + split) * (kDim + 2);
    to[2 + d] = sum;
    if (d == 0) {
      to[0] = whole.max;
      to[1] = whole.sum;
    }
  }
}

// True in all threads of the block that is the last of `splits` to come here; what the others wrote before is
// then visible to it.
__device__ inline bool arrives_last(unsigned* arrived, int splits) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(arrived, 1U) == static_cast<unsigned>(splits - 1);
    if (last) *arrived = 0;  // for the next launch; nobody else comes any more
  }
  __syncthreads();
  if (last) __threadfence();
  return last;
}

// out[first_head + h][d] = the attention over all splits, 0 for a head without rows; lse[first_head + h],
// where it is not null, the log-sum-exp of its logits.
template <int kDim>
__device__ void join_pieces(const float* workspace, int heads, int first_head, int splits, float* out,
                            float* lse) {
  for (int i = threadIdx.x; i < heads * kDim; i += blockDim.x) {
    const int h = i / kDim;
    const int d = i % kDim;
    const float* from = workspace + static_cast<std::int64_t>(first_head + h) * splits * (kDim + 2);
    SoftmaxPiece whole;
    for (int s = 0; s < splits; ++s) {
      // Past this SM's first-level cache: other blocks wrote them.
      whole = merged(whole, {__ldcg(from + s * (kDim + 2)), __ldcg(from + s * (kDim + 2) + 1)});
    }
    float sum = 0;
    for (int s = 0; s < splits; ++s) {
      const float* piece = from + s * (kDim + 2);
      sum += __ldcg(piece + 2 + d) * share_of({__ldcg(piece), __ldcg(piece + 1)}, whole);
    }
    out[static_cast<std::int64_t>(first_head + h) * kDim + d] = sum;
    if (d == 0 && lse != nullptr) lse[first_head + h] = log_sum_exp(whole);
  }
}

}  // namespace hybridgen::cuda
