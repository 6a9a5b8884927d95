#include "runtime/cuda/kernels/gemm.cuh"

#include <mma.h>

#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/logic/tf32.hpp"

namespace hybridgen::cuda {
namespace {

namespace wmma = nvcuda::wmma;

constexpr int kTile = 64;            // tokens, and weight rows, of a block
constexpr int kDepth = 32;           // columns at a time
constexpr int kStride = kDepth + 8;  // 160 bytes: rows start in other banks, tiles stay aligned to 32 bytes
constexpr int kOutStride = kTile + 8;
constexpr int kThreads = 128;  // four warps, each 32 x 32 of the tile

struct Stage {
  float x[kTile][kStride];
  float w[kTile][kStride];
};
union Shared {
  Stage in;
  float out[kTile][kOutStride];
};

using FragmentX = wmma::fragment<wmma::matrix_a, 16, 16, 8, wmma::precision::tf32, wmma::row_major>;
using FragmentW = wmma::fragment<wmma::matrix_b, 16, 16, 8, wmma::precision::tf32, wmma::col_major>;
using FragmentSum = wmma::fragment<wmma::accumulator, 16, 16, 8, float>;

// Columns [c, c + kDepth) of the block's tokens and weight rows; zeros beyond the edges.
__device__ void load_stage(const MatrixArgs& args, std::int64_t tokens, std::int64_t token, int row, int c,
                           Stage& stage) {
  for (int i = threadIdx.x; i < kTile * kDepth / 4; i += kThreads) {
    const int t = i / (kDepth / 4);
    const int at = i % (kDepth / 4) * 4;
    float4 x = {0, 0, 0, 0};
    if (token + t < tokens && c + at < args.cols) {
      x = *reinterpret_cast<const float4*>(args.x + (token + t) * args.x_stride + c + at);
    }
    *reinterpret_cast<float4*>(&stage.x[t][at]) = x;
  }
  for (int i = threadIdx.x; i < kTile * kDepth / 8; i += kThreads) {
    const int r = i / (kDepth / 8);
    const int at = i % (kDepth / 8) * 8;
    float w[8] = {};
    if (row + r < args.rows && c + at < args.cols) {
      const auto* from =
          reinterpret_cast<const __half*>(args.w) + static_cast<std::int64_t>(row + r) * args.cols;
      Vector<__half>::unpack(*reinterpret_cast<const uint4*>(from + c + at), w);
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) stage.w[r][at + j] = w[j];
  }
}

// sum += x w^T for the warp's 32 x 32 part of the tile. The stage's products are summed by themselves and
// then added: the tensor cores round sums towards zero, which thousands of columns make visible.
__device__ void multiply_stage(const Stage& stage, int warp_token, int warp_row, FragmentSum (&sum)[2][2]) {
  FragmentSum part[2][2];
#pragma unroll
  for (int i = 0; i < 4; ++i) wmma::fill_fragment(part[i / 2][i % 2], 0.0F);
  for (int k = 0; k < kDepth; k += 8) {
    FragmentW w[2];
    wmma::load_matrix_sync(w[0], &stage.w[warp_row][k], kStride);
    wmma::load_matrix_sync(w[1], &stage.w[warp_row + 16][k], kStride);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      FragmentX high;
      FragmentX low;
      wmma::load_matrix_sync(high, &stage.x[warp_token + 16 * i][k], kStride);
#pragma unroll
      for (int e = 0; e < high.num_elements; ++e) {
        const Tf32Pair pair = split_tf32(high.x[e]);
        high.x[e] = pair.high;
        low.x[e] = pair.low;
      }
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        wmma::mma_sync(part[i][j], low, w[j], part[i][j]);
        wmma::mma_sync(part[i][j], high, w[j], part[i][j]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int e = 0; e < part[0][0].num_elements; ++e) sum[i / 2][i % 2].x[e] += part[i / 2][i % 2].x[e];
  }
}

__global__ void __launch_bounds__(kThreads) gemm_kernel(MatrixArgs args, std::int64_t tokens) {
  __shared__ __align__(128) Shared shared;
  const std::int64_t token = static_cast<std::int64_t>(blockIdx.y) * kTile;
  const int row = blockIdx.x * kTile;
  const int warp = threadIdx.x / 32;
  const int warp_token = warp / 2 * 32;
  const int warp_row = warp % 2 * 32;
  FragmentSum sum[2][2];
#pragma unroll
  for (int i = 0; i < 4; ++i) wmma::fill_fragment(sum[i / 2][i % 2], 0.0F);
  for (int c = 0; c < args.cols; c += kDepth) {
    load_stage(args, tokens, token, row, c, shared.in);
    __syncthreads();
    multiply_stage(shared.in, warp_token, warp_row, sum);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    wmma::store_matrix_sync(&shared.out[warp_token + 16 * (i / 2)][warp_row + 16 * (i % 2)],
                            sum[i / 2][i % 2], kOutStride, wmma::mem_row_major);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kTile * kTile; i += kThreads) {
    const int t = i / kTile;
    const int r = i % kTile;
    if (token + t >= tokens || row + r >= args.rows) continue;
    const std::int64_t at = (token + t) * args.y_stride + row + r;
    args.y[at] = args.finished(shared.out[t][r], at, row + r);
  }
}

}  // namespace

void gemm(const MatrixArgs& args, std::int64_t tokens, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>((args.rows + kTile - 1) / kTile),
                    static_cast<unsigned>((tokens + kTile - 1) / kTile));
  gemm_kernel<<<blocks, kThreads, 0, stream>>>(args, tokens);
  check_launch("gemm");
}

}  // namespace hybridgen::cuda
