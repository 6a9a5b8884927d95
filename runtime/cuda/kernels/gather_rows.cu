#include "runtime/cuda/kernels/gather_rows.cuh"

#include "runtime/cuda/kernels/device.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kUnderWay = 8;

// Blocks (x) of a query head (y) share its rows, 16 bytes per thread.
__global__ void __launch_bounds__(kThreads) gather_rows_kernel(GatherRowsArgs args) {
  const int head = blockIdx.y;
  // Lanes of a row: a block takes whole rows at a time, so that no thread divides.
  const unsigned per_row = static_cast<unsigned>(args.row_bytes) / 16;
  const unsigned rows_at_once = kThreads / per_row;
  const unsigned mine = threadIdx.x / per_row;
  const std::int64_t byte = static_cast<std::int64_t>(threadIdx.x % per_row) * 16;
  const std::int64_t end = args.offsets[head + 1];
  const std::byte* store = args.store + head / args.group * args.slots * args.row_bytes + byte;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * rows_at_once;
  if (mine >= rows_at_once) return;  // a row's lanes need not divide a block's threads
  for (std::int64_t base = args.offsets[head] + static_cast<std::int64_t>(blockIdx.x) * rows_at_once + mine;
       base < end; base += kUnderWay * stride) {
    uint4 data[kUnderWay];
    std::byte* to[kUnderWay];
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) {
      const std::int64_t row = base + u * stride;
      to[u] = nullptr;
      if (row >= end) continue;
      data[u] = load_streaming(store + static_cast<std::int64_t>(args.slot_of[row]) * args.row_bytes);
      to[u] = args.packed + row * args.row_bytes + byte;
    }
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) {
      if (to[u] != nullptr) *reinterpret_cast<uint4*>(to[u]) = data[u];
    }
  }
}

}  // namespace

void gather_rows(const GatherRowsArgs& args, int blocks_per_head, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(blocks_per_head), static_cast<unsigned>(args.query_heads));
  gather_rows_kernel<<<blocks, kThreads, 0, stream>>>(args);
  check_launch("gather_rows");
}

}  // namespace hybridgen::cuda
