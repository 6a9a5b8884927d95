// Decode attention over fp16 rows on the tensor cores: a warp takes sixteen rows at a time, and the up to
// eight query heads of a KV head are the other side of the product. A step on the card's ordinary units costs
// an instruction per element and head; here the rows' way from memory is all that counts. Queries and softmax
// weights are pairs of fp16 numbers (high + low): as exact as fp32. Device code only.
//
// A product sums over one index whose order is free, so a lane takes 16 bytes of a row wherever the operand
// wants 4: of K, dims 32 j + 8 t + i serve steps 2 j and 2 j + 1; of V, dims 64 j + 8 g + i serve tiles 4 j +
// i / 2. In what follows g = lane / 4, t = lane % 4.
#pragma once

#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/kernels/mma.cuh"
#include "runtime/cuda/kernels/partials.cuh"
#include "runtime/cuda/logic/split.hpp"

namespace hybridgen::cuda {

inline constexpr int kTensorThreads = 256;  // of a block
inline constexpr int kTensorWarps = kTensorThreads / 32;
inline constexpr int kTensorRows = 16;  // of a tile
inline constexpr int kTensorHeads = 8;

// Rows of a tile that lane 4 g + t has logits and weights of, for head g; and whose V it reads.
__device__ inline int tile_row(int i) {
  return static_cast<int>(threadIdx.x) % 4 * 2 + i % 2 + i / 2 * 8;
}
inline constexpr int kLaneRows = 4;

// A group's queries, scaled, as the first operand of every step: rows 0 to 7 are the heads' high halves, rows
// 8 to 15 the low ones. In shared memory: all warps take the same.
template <int kDim>
struct TensorQueries {
  static constexpr int kSteps = kDim / 16;
  unsigned a[kSteps][32][4];

  // By the whole block; before a __syncthreads(). q: [group][kDim].
  __device__ void load(const float* q, int group, float scale) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int head = lane / 4;
    for (int step = static_cast<int>(threadIdx.x) / 32; step < kSteps; step += kTensorWarps) {
      for (int half = 0; half < 2; ++half) {
        const int d = step / 2 * 32 + lane % 4 * 8 + step % 2 * 4 + half * 2;
        const float x = head < group ? q[head * kDim + d] * scale : 0.0F;
        const float y = head < group ? q[head * kDim + d + 1] * scale : 0.0F;
        const SplitPair pair = split_pair(x, y);
        a[step][lane][2 * half] = pair.high;
        a[step][lane][2 * half + 1] = pair.low;
      }
    }
  }
};

// Sixteen K rows, on their way: row g and row g + 8.
template <int kDim>
struct TensorKeys {
  static constexpr int kLoads = kDim / 32;
  uint4 raw[2][kLoads];

  // row_at(i): address of the tile's row i.
  template <class RowAt>
  __device__ void load(const RowAt& row_at) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      const __half* row = row_at(lane / 4 + 8 * n) + lane % 4 * 8;
#pragma unroll
      for (int j = 0; j < kLoads; ++j) raw[n][j] = load_streaming(row + 32 * j);
    }
  }

  // logit[i]: of head g and row tile_row(i).
  __device__ void multiply(const TensorQueries<kDim>& q, float (&logit)[kLaneRows]) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    float sum[2][4] = {};
#pragma unroll
    for (int step = 0; step < TensorQueries<kDim>::kSteps; ++step) {
      const uint4 loaded = *reinterpret_cast<const uint4*>(&q.a[step][lane][0]);
      const unsigned a[4] = {loaded.x, loaded.y, loaded.z, loaded.w};
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const uint4& k = raw[n][step / 2];
        mma_16x8x16(sum[n], a, step % 2 == 0 ? k.x : k.z, step % 2 == 0 ? k.y : k.w);
      }
    }
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      logit[2 * n] = sum[n][0] + sum[n][2];
      logit[2 * n + 1] = sum[n][1] + sum[n][3];
    }
  }
};

// Sixteen V rows, on their way.
template <int kDim>
struct TensorValues {
  static constexpr int kLoads = kDim / 64;
  uint4 raw[kLaneRows][kLoads];

  template <class RowAt>
  __device__ void load(const RowAt& row_at) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const __half* row = row_at(tile_row(i)) + lane / 4 * 8;
#pragma unroll
      for (int j = 0; j < kLoads; ++j) raw[i][j] = load_streaming(row + 64 * j);
    }
  }

  // The operand of tile 4 j + word: its rows are two dims of each g, its columns the tile's rows.
  __device__ void operand(int j, int word, unsigned (&a)[4]) const {
    unsigned w[kLaneRows];
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const uint4& r = raw[i][j];
      w[i] = word == 0 ? r.x : word == 1 ? r.y : word == 2 ? r.z : r.w;
    }
    a[0] = __byte_perm(w[0], w[1], 0x5410);  // the lower halves
    a[1] = __byte_perm(w[0], w[1], 0x7632);
    a[2] = __byte_perm(w[2], w[3], 0x5410);
    a[3] = __byte_perm(w[2], w[3], 0x7632);
  }
};

// A warp's running softmax and weighted sums for all heads of the group.
template <int kDim>
struct TensorSums {
  static constexpr int kTiles = kDim / 16;
  // Weights are at most 1; scaled, also small ones keep their digits as fp16.
  static constexpr float kScale = 32768;
  SoftmaxPiece piece;         // of head g; the sum is over the lane's rows alone
  float sum[kTiles][4] = {};  // heads 2t, 2t + 1 of one dim, then of the next; times kScale

  // The tile's rows: their logits, kNoLogit where there is none, and their V.
  __device__ void add(const float (&logit)[kLaneRows], const TensorValues<kDim>& v) {
    float most = fmaxf(fmaxf(logit[0], logit[1]), fmaxf(logit[2], logit[3]));
    most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 1));
    most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 2));
    const float factor = raise_max(piece, most);
    float weight[kLaneRows];
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) weight[i] = add_row(piece, logit[i]) * kScale;
    const SplitPair first = split_pair(weight[0], weight[1]);
    const SplitPair second = split_pair(weight[2], weight[3]);
    // Sums are by head 2t and 2t + 1: lane 4 h has the factor of head h.
    const int t = static_cast<int>(threadIdx.x) % 4;
    const float factor_low = __shfl_sync(kAllLanes, factor, 8 * t);
    const float factor_high = __shfl_sync(kAllLanes, factor, 8 * t + 4);
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      unsigned a[4];
      v.operand(tile / 4, tile % 4, a);
      // Of its own, then added: the tensor cores round sums towards zero.
      float part[4] = {};
      mma_16x8x16(part, a, first.low, second.low);
      mma_16x8x16(part, a, first.high, second.high);
      sum[tile][0] = sum[tile][0] * factor_low + part[0];
      sum[tile][1] = sum[tile][1] * factor_high + part[1];
      sum[tile][2] = sum[tile][2] * factor_low + part[2];
      sum[tile][3] = sum[tile][3] * factor_high + part[3];
    }
  }

  // The block's piece of query heads first_head + h, as split `split` of `splits`.
  __device__ void write(int heads, int first_head, int split, int splits, float* workspace) {
    // Here: in a kernel that also makes a closure nvcc takes it for initialised at run time.
    __shared__ BlockPieces<kTensorWarps, kTensorHeads, kDim> pieces;
    put(pieces);
    __syncthreads();
    write_piece(pieces, heads, first_head, split, splits, workspace);
  }

 private:
  __device__ void put(BlockPieces<kTensorWarps, kTensorHeads, kDim>& pieces) {
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int g = static_cast<int>(threadIdx.x) % 32 / 4;
    const int t = static_cast<int>(threadIdx.x) % 4;
    piece.sum = sum_over<4>(piece.sum);
    if (t == 0) pieces.piece[warp][g] = piece;
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      const int d = tile / 4 * 64 + g * 8 + tile % 4 * 2;
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float2 pair = {sum[tile][i] * (1 / kScale), sum[tile][i + 2] * (1 / kScale)};
        *reinterpret_cast<float2*>(&pieces.sum[warp][2 * t + i][d]) = pair;
      }
    }
  }
};

// Calls tile(first row) for each of the warp's tiles of `range`, kRows at a time.
template <int kRows = kTensorRows, class Tile>
__device__ void for_each_tile_of_warp(const RowRange& range, const Tile& tile) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  for (std::int64_t first = range.begin + warp * kRows; first < range.end; first += kTensorWarps * kRows)
    tile(first);
}

}  // namespace hybridgen::cuda
