#include "runtime/cuda/kernels/gather_rows.cuh"

#include "runtime/cuda/kernels/device.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kUnderWay = 4;

// Blocks (x) of a query head (y) share its rows, 16 bytes per thread.
__global__ void __launch_bounds__(kThreads) gather_rows_kernel(GatherRowsArgs args) {
  const int head = blockIdx.y;
  const int per_row = args.row_bytes / 16;
  const std::int64_t first = args.offsets[head];
  const std::int64_t units = (args.offsets[head + 1] - first) * per_row;
  const std::byte* store = args.store + head / args.group * args.slots * args.row_bytes;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t base = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; base < units;
       base += kUnderWay * stride) {
    uint4 data[kUnderWay];
    std::byte* to[kUnderWay];
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) {
      const std::int64_t i = base + u * stride;
      to[u] = nullptr;
      if (i >= units) continue;
      const std::int64_t row = first + i / per_row;
      const std::int64_t byte = i % per_row * 16;
      data[u] = load_streaming(store + static_cast<std::int64_t>(args.slot_of[row]) * args.row_bytes + byte);
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
