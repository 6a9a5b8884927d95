// How a block's attention over its share of rows joins the other blocks': each writes a piece (maximum, sum,
// weighted sum of V) into the workspace, and the last one to arrive joins them. No second launch. Device
// code.
#pragma once

#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/kernels/launch.cuh"
#include "runtime/cuda/kernels/partials.hpp"
#include "runtime/cuda/logic/online_softmax.hpp"

namespace hybridgen::cuda {

// What a block's workers bring: a worker is the group of lanes that reads rows together.
template <int kWorkers, int kHeads, int kDim>
struct alignas(16) BlockPieces {
  SoftmaxPiece piece[kWorkers][kHeads];
  float sum[kWorkers][kHeads][kDim + 2];  // heads start in other banks
};

// Joins the workers' pieces of `heads` heads and writes them as this split's piece of query heads first_head
// + h. After a __syncthreads().
template <int kWorkers, int kHeads, int kDim>
__device__ void write_piece(const BlockPieces<kWorkers, kHeads, kDim>& pieces, int heads, int first_head,
                            int split, int splits, float* workspace) {
  for (int i = threadIdx.x; i < heads * kDim; i += blockDim.x) {
    const int h = i / kDim;
    const int d = i % kDim;
    float most = kNoLogit;
#pragma unroll
    for (int w = 0; w < kWorkers; ++w) most = fmaxf(most, pieces.piece[w][h].max);
    float sum = 0;
    float weights = 0;
#pragma unroll
    for (int w = 0; w < kWorkers; ++w) {
      const float factor = rescale(pieces.piece[w][h].max, most);
      sum += pieces.sum[w][h][d] * factor;
      weights += pieces.piece[w][h].sum * factor;
    }
    float* to = workspace + (static_cast<std::int64_t>(first_head + h) * splits + split) * piece_floats(kDim);
    to[d] = sum;
    if (d == 0) {
      to[kDim] = most;
      to[kDim + 1] = weights;
    }
  }
}

// True in all threads of the block that is the last of `blocks` to come here; what the others wrote before is
// then visible to it.
__device__ inline bool arrives_last(unsigned* arrived, int blocks) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(arrived, 1U) == static_cast<unsigned>(blocks - 1);
    if (last) *arrived = 0;  // for the next launch; nobody else comes any more
  }
  __syncthreads();
  if (last) __threadfence();
  return last;
}

// Pieces of one head that a lane has taken: their softmax, and four elements of their weighted sums.
struct JoinedPieces {
  SoftmaxPiece piece;
  float4 sum = {0, 0, 0, 0};

  __device__ void raise(float most) {
    const float factor = rescale(piece.max, most);
    piece = {most, piece.sum * factor};
    sum = {sum.x * factor, sum.y * factor, sum.z * factor, sum.w * factor};
  }
  // part: taken at a maximum of no more than piece.max.
  __device__ void add(const SoftmaxPiece& part, const float4& values) {
    const float share = rescale(part.max, piece.max);
    piece.sum += part.sum * share;
    sum.x += values.x * share;
    sum.y += values.y * share;
    sum.z += values.z * share;
    sum.w += values.w * share;
  }
};

// Pieces first, first + stride, ... of a head, at four elements.
template <int kDim>
__device__ JoinedPieces joined(const float* pieces, int first, int stride, int splits, int element) {
  constexpr int kUnderWay = 12;  // pieces at a time: they come from the second-level cache
  JoinedPieces all;
  for (int s = first; s < splits; s += kUnderWay * stride) {
    float4 values[kUnderWay];
    SoftmaxPiece part[kUnderWay];
    float most = all.piece.max;
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) {
      const int at = s + u * stride;
      const float* piece = pieces + static_cast<std::int64_t>(min(at, splits - 1)) * piece_floats(kDim);
      // Past this SM's first-level cache: other blocks wrote them.
      values[u] = __ldcg(reinterpret_cast<const float4*>(piece + element));
      const float2 softmax = __ldcg(reinterpret_cast<const float2*>(piece + kDim));
      if (at < splits) part[u] = {softmax.x, softmax.y};
    }
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) most = fmaxf(most, part[u].max);
    all.raise(most);
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) all.add(part[u], values[u]);
  }
  return all;
}

// out[first_head + h][d] = the attention over all splits, 0 for a head without rows; lse[first_head + h],
// where it is not null, the log-sum-exp of its logits.
template <int kDim>
__device__ void join_pieces(const float* workspace, int heads, int first_head, int splits, float* out,
                            float* lse) {
  const int threads = static_cast<int>(blockDim.x);
  const int items = heads * kDim / 4;
  int sharers = 1;  // neighbouring lanes share out an item's pieces; whole warps do, or none
  while (sharers < 8 && items * sharers * 2 <= threads) sharers *= 2;
  const int mine = static_cast<int>(threadIdx.x) % sharers;
  for (int item = static_cast<int>(threadIdx.x) / sharers; item < items; item += threads / sharers) {
    const int head = first_head + item * 4 / kDim;
    const int element = item * 4 % kDim;
    const float* pieces = workspace + static_cast<std::int64_t>(head) * splits * piece_floats(kDim);
    JoinedPieces all = joined<kDim>(pieces, mine, sharers, splits, element);
    for (int step = 1; step < sharers; step *= 2) {
      const SoftmaxPiece other = {__shfl_xor_sync(kAllLanes, all.piece.max, step),
                                  __shfl_xor_sync(kAllLanes, all.piece.sum, step)};
      const float4 values = {
          __shfl_xor_sync(kAllLanes, all.sum.x, step), __shfl_xor_sync(kAllLanes, all.sum.y, step),
          __shfl_xor_sync(kAllLanes, all.sum.z, step), __shfl_xor_sync(kAllLanes, all.sum.w, step)};
      all.raise(fmaxf(all.piece.max, other.max));
      all.add(other, values);
    }
    if (mine != 0) continue;
    const float share = share_of(all.piece, all.piece);
    *reinterpret_cast<float4*>(out + static_cast<std::int64_t>(head) * kDim + element) = {
        all.sum.x * share, all.sum.y * share, all.sum.z * share, all.sum.w * share};
    if (element == 0 && lse != nullptr) lse[head] = log_sum_exp(all.piece);
  }
}

}  // namespace hybridgen::cuda
