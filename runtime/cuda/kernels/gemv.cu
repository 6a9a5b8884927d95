#include "runtime/cuda/kernels/gemv.cuh"

#include <algorithm>

#include "runtime/cuda/kernels/chained.cuh"
#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/logic/small_ops.hpp"
#include "runtime/cuda/logic/split.hpp"

namespace hybridgen::cuda {
namespace {

// As many blocks as the card holds at once share out the rows evenly. Up to eight warps share a row: each
// keeps its slice of the activations in registers and streams its slice of one row after the other past them.
constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kBlocks = 2;  // of a multiprocessor
// That the registers leave room for: with one more than kBlocks the next kernel can begin.
constexpr int kResident = 2;
constexpr int kLoads = 2;      // of 16 bytes: a lane's part of a row's slice
constexpr int kStep = 32 * 8;  // columns that a warp's load covers
constexpr int kSlice = kLoads * kStep;
constexpr int kRowsAtOnce = 64;  // of a unit, whose sums wait in shared memory

using Kind = GemvInput::Kind;

struct GemvArgs {
  MatrixArgs matrix;
  GemvInput input;
  int slices = 1;  // warps that share a row: a power of two
};

// The warps that share rows, and which ones.
struct Unit {
  int first = 0, end = 0;  // rows
  int slice = 0;           // of them, the warp's
};

__device__ Unit unit_of_warp(const GemvArgs& args) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int per_block = kWarps / args.slices;
  const std::int64_t unit = blockIdx.x * per_block + warp / args.slices;
  const std::int64_t units = gridDim.x * per_block;
  return {static_cast<int>(args.matrix.rows * unit / units),
          static_cast<int>(args.matrix.rows * (unit + 1) / units), warp % args.slices};
}

// A lane's part of some rows' slice, on its way; zeros where there is none.
template <int kRows>
struct Batch {
  uint4 w[kRows][kLoads];

  __device__ void load(const MatrixArgs& args, int row, int end, int column) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const auto* from =
          reinterpret_cast<const __half*>(args.w) + static_cast<std::int64_t>(row + r) * args.cols + column;
#pragma unroll
      for (int i = 0; i < kLoads; ++i) {
        w[r][i] = row + r < end && column + i * kStep < args.cols ? load_streaming(from + i * kStep)
                                                                  : uint4{0, 0, 0, 0};
      }
    }
  }
};

// 1 / the root mean square of each token's activations, in all threads.
template <int kTokens>
__device__ void rms_factors(const GemvArgs& args, float (&factor)[kTokens]) {
  __shared__ float sums[kTokens][kWarps];
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    const float* x = args.matrix.x + t * args.matrix.x_stride;
    float squares = 0;
    for (int c = static_cast<int>(threadIdx.x) * 4; c < args.matrix.cols; c += kThreads * 4) {
      const float4 four = *reinterpret_cast<const float4*>(x + c);
      squares += four.x * four.x + four.y * four.y + four.z * four.z + four.w * four.w;
    }
    squares = sum_over<32>(squares);
    if (threadIdx.x % 32 == 0) sums[t][threadIdx.x / 32] = squares;
  }
  __syncthreads();
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    float squares = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) squares += sums[t][w];
    factor[t] = rsqrtf(squares / static_cast<float>(args.matrix.cols) + args.input.eps);
  }
}

// Eight activations from column c on.
template <Kind kKind>
__device__ void load_eight(const GemvArgs& args, int token, int c, float factor, float (&x)[8]) {
  const float* from = args.matrix.x + token * args.matrix.x_stride + c;
#pragma unroll
  for (int i = 0; i < 8; i += 4) {
    float4 four = *reinterpret_cast<const float4*>(from + i);
    if constexpr (kKind == Kind::normed) {
      const float4 weight = *reinterpret_cast<const float4*>(args.input.weight + c + i);
      four = {four.x * factor * weight.x, four.y * factor * weight.y, four.z * factor * weight.z,
              four.w * factor * weight.w};
    }
    if constexpr (kKind == Kind::gated) {
      const float4 up = *reinterpret_cast<const float4*>(from + args.matrix.cols + i);
      four = {gated(four.x, up.x), gated(four.y, up.y), gated(four.z, up.z), gated(four.w, up.w)};
    }
    x[i] = four.x, x[i + 1] = four.y, x[i + 2] = four.z, x[i + 3] = four.w;
  }
}

// Sums of kCount values over the warp's lanes, each in other lanes: lane l has that of value l / (32 /
// kCount).
template <int kCount>
__device__ float shared_out_sums(float (&value)[kCount]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  int step = 16;
#pragma unroll
  for (int half = kCount / 2; half > 0; half /= 2, step /= 2) {
    const bool upper = (lane & step) != 0;
#pragma unroll
    for (int i = 0; i < half; ++i) {
      const float sent = upper ? value[i] : value[i + half];
      value[i] = (upper ? value[i + half] : value[i]) + __shfl_xor_sync(kAllLanes, sent, step);
    }
  }
#pragma unroll
  for (; step > 0; step /= 2) value[0] += __shfl_xor_sync(kAllLanes, value[0], step);
  return value[0];
}

template <int kTokens, Kind kKind>
struct Gemv {
  static constexpr int kRows = kTokens <= 2 ? 4 : 2;                // of a batch, by the registers there are
  static constexpr int kSums = kTokens == 3 ? 8 : kRows * kTokens;  // a power of two

  const GemvArgs& args;
  Unit unit;
  float factor[kTokens] = {};
  Batch<kRows> batch;

  __device__ int column() const { return unit.slice * kSlice + static_cast<int>(threadIdx.x) % 32 * 8; }

  // part[t][i]: what the warp's slice adds to row first + i of token t.
  __device__ void add_rows(int first, int end, float (&part)[kTokens][kRowsAtOnce]) {
    const int chunk = args.slices * kSlice;
    for (int c = column(); c - column() < args.matrix.cols; c += chunk) {
      float x[kTokens][kLoads][8] = {};
#pragma unroll
      for (int t = 0; t < kTokens; ++t) {
#pragma unroll
        for (int i = 0; i < kLoads; ++i) {
          if (c + i * kStep < args.matrix.cols) load_eight<kKind>(args, t, c + i * kStep, factor[t], x[t][i]);
        }
      }
      for (int row = first; row < end; row += kRows) {
        const Batch<kRows> current = batch;
        // The next batch, which after the last row is the next chunk's first.
        const bool last = row + kRows >= end;
        batch.load(args.matrix, last ? first : row + kRows, end, last ? c + chunk : c);
        add_batch(current, x, row - first, c == column(), part);
      }
    }
  }

  __device__ void add_batch(const Batch<kRows>& rows, const float (&x)[kTokens][kLoads][8], int at, bool anew,
                            float (&part)[kTokens][kRowsAtOnce]) {
    float sum[kSums] = {};
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int i = 0; i < kLoads; ++i) {
        float w[8];
        Vector<__half>::unpack(rows.w[r][i], w);
#pragma unroll
        for (int t = 0; t < kTokens; ++t) {
#pragma unroll
          for (int e = 0; e < 8; ++e) sum[r * kTokens + t] += w[e] * x[t][i][e];
        }
      }
    }
    const float mine = shared_out_sums<kSums>(sum);
    constexpr int kLanes = 32 / kSums;
    const int which = static_cast<int>(threadIdx.x) % 32 / kLanes;
    const int row = at + which / kTokens;
    if (threadIdx.x % kLanes != 0 || which >= kRows * kTokens || row >= kRowsAtOnce) return;
    float& to = part[which % kTokens][row];
    to = anew ? mine : to + mine;
  }
};

// y of the rows whose slices all lie in `parts`: rows [done, done + kRowsAtOnce) of each of the block's
// units.
template <int kTokens>
__device__ void finish_rows(const GemvArgs& args, int done,
                            const float (&parts)[kWarps][kTokens][kRowsAtOnce]) {
  const int per_block = kWarps / args.slices;
  for (int i = static_cast<int>(threadIdx.x); i < per_block * kRowsAtOnce; i += kThreads) {
    const int group = i / kRowsAtOnce;
    const std::int64_t unit = blockIdx.x * per_block + group;
    const std::int64_t units = gridDim.x * per_block;
    const int row = static_cast<int>(args.matrix.rows * unit / units) + done + i % kRowsAtOnce;
    if (row >= static_cast<int>(args.matrix.rows * (unit + 1) / units)) continue;
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      float sum = 0;
      for (int s = 0; s < args.slices; ++s) sum += parts[group * args.slices + s][t][i % kRowsAtOnce];
      const std::int64_t at = t * args.matrix.y_stride + row;
      args.matrix.y[at] = args.matrix.finished(sum, at, row);
    }
  }
}

template <int kTokens, Kind kKind>
__global__ void __launch_bounds__(kThreads, kResident) gemv_kernel(GemvArgs args) {
  __shared__ float parts[kWarps][kTokens][kRowsAtOnce];
  let_next_begin();
  Gemv<kTokens, kKind> mine{args, unit_of_warp(args)};
  const Unit unit = mine.unit;
  // The first weights are asked for before the activations are there.
  mine.batch.load(args.matrix, unit.first, min(unit.end, unit.first + kRowsAtOnce), mine.column());
  wait_for_previous();
  if constexpr (kKind == Kind::normed) rms_factors<kTokens>(args, mine.factor);
  const int units = static_cast<int>(gridDim.x) * (kWarps / args.slices);
  const int most = (args.matrix.rows + units - 1) / units;  // rows of a unit: the same rounds in all threads
  for (int done = 0; done < most; done += kRowsAtOnce) {
    const int first = min(unit.first + done, unit.end);
    const int end = min(first + kRowsAtOnce, unit.end);
    if (done > 0) mine.batch.load(args.matrix, first, end, mine.column());
    mine.add_rows(first, end, parts[threadIdx.x / 32]);
    __syncthreads();
    finish_rows<kTokens>(args, done, parts);
    __syncthreads();
  }
}

template <int kTokens>
void launch(const GemvArgs& args, unsigned blocks, cudaStream_t stream) {
  switch (args.input.kind) {
    case Kind::plain:
      return launch_chained("gemv", gemv_kernel<kTokens, Kind::plain>, blocks, kThreads, stream, args);
    case Kind::normed:
      return launch_chained("gemv", gemv_kernel<kTokens, Kind::normed>, blocks, kThreads, stream, args);
    case Kind::gated:
      return launch_chained("gemv", gemv_kernel<kTokens, Kind::gated>, blocks, kThreads, stream, args);
  }
}

}  // namespace

void gemv(const MatrixArgs& matrix, const GemvInput& input, int tokens, cudaStream_t stream) {
  GemvArgs args{matrix, input};
  while (args.slices < kWarps && args.slices * kSlice < matrix.cols) args.slices *= 2;
  const int per_block = kWarps / args.slices;
  const auto blocks = static_cast<unsigned>(
      std::min(kBlocks * card_multiprocessors(), (matrix.rows + per_block - 1) / per_block));
  switch (tokens) {
    case 1:
      return launch<1>(args, blocks, stream);
    case 2:
      return launch<2>(args, blocks, stream);
    case 3:
      return launch<3>(args, blocks, stream);
    default:
      return launch<4>(args, blocks, stream);
  }
}

}  // namespace hybridgen::cuda
