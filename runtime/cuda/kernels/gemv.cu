#include "runtime/cuda/kernels/gemv.cuh"

#include "runtime/cuda/kernels/device.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRowsPerWarp = 2;  // share the activations that a lane has in registers
constexpr int kRowsPerBlock = kThreads / 32 * kRowsPerWarp;

// Adds the products of eight columns of one weight row to the sum of each token.
template <int kTokens>
__device__ void add_products(uint4 raw, const float (&x)[kTokens][8], float (&sum)[kTokens]) {
  float w[8];
  Vector<__half>::unpack(raw, w);
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
#pragma unroll
    for (int i = 0; i < 8; ++i) sum[t] += w[i] * x[t][i];
  }
}

// A warp per kRowsPerWarp rows; a lane takes eight columns of every 256.
template <int kTokens>
__global__ void __launch_bounds__(kThreads) gemv_kernel(MatrixArgs args) {
  const int lane = threadIdx.x % 32;
  const int row = blockIdx.x * kRowsPerBlock + threadIdx.x / 32 * kRowsPerWarp;
  if (row >= args.rows) return;
  const auto* w = reinterpret_cast<const __half*>(args.w) + static_cast<std::int64_t>(row) * args.cols;
  // A warp whose second row is missing reads its first one twice and drops the result.
  const std::int64_t next = row + 1 < args.rows ? args.cols : 0;
  float sum[kRowsPerWarp][kTokens] = {};
#pragma unroll 4
  for (int c = lane * 8; c < args.cols; c += 256) {
    float x[kTokens][8];
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      const auto* from = reinterpret_cast<const float4*>(args.x + t * args.x_stride + c);
      const float4 low = from[0];
      const float4 high = from[1];
      x[t][0] = low.x, x[t][1] = low.y, x[t][2] = low.z, x[t][3] = low.w;
      x[t][4] = high.x, x[t][5] = high.y, x[t][6] = high.z, x[t][7] = high.w;
    }
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) add_products<kTokens>(load_streaming(w + r * next + c), x, sum[r]);
  }
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) {
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      const float total = sum_over<32>(sum[r][t]);
      if (lane != 0 || row + r >= args.rows) continue;
      const std::int64_t at = t * args.y_stride + row + r;
      args.y[at] = args.finished(total, at, row + r);
    }
  }
}

}  // namespace

void gemv(const MatrixArgs& args, int tokens, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((args.rows + kRowsPerBlock - 1) / kRowsPerBlock);
  switch (tokens) {
    case 1:
      gemv_kernel<1><<<blocks, kThreads, 0, stream>>>(args);
      break;
    case 2:
      gemv_kernel<2><<<blocks, kThreads, 0, stream>>>(args);
      break;
    case 3:
      gemv_kernel<3><<<blocks, kThreads, 0, stream>>>(args);
      break;
    default:
      gemv_kernel<4><<<blocks, kThreads, 0, stream>>>(args);
  }
  check_launch("gemv");
}

}  // namespace hybridgen::cuda
