#include "runtime/cuda/kernels/gather_rows.cuh"

#include "runtime/cuda/kernels/device.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kUnderWay = 4;

// Blocks (x) of a query head (y) share its rows, 16 bytes per thread.
template <bool kGather>
__global__ void __launch_bounds__(kThreads) rows_kernel(GatherRowsArgs args) {
  const int head = blockIdx.y;
  const int per_row = args.row_bytes / 16;
  const std::int64_t first = args.offsets[head];
  const std::int64_t units = (args.offsets[head + 1] - first) * per_row;
  std::byte* store = args.store + head / args.group * args.slots * args.row_bytes;
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
      std::byte* in_store = store + static_cast<std::int64_t>(args.slot_of[row]) * args.row_bytes + byte;
      std::byte* in_pack = args.packed + row * args.row_bytes + byte;
      data[u] = load_streaming(kGather ? in_store : in_pack);
      to[u] = kGather ? in_pack : in_store;
    }
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) {
      if (to[u] != nullptr) *reinterpret_cast<uint4*>(to[u]) = data[u];
    }
  }
}

template <bool kGather>
void launch(const GatherRowsArgs& args, int blocks_per_head, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(blocks_per_head), static_cast<unsigned>(args.query_heads));
  rows_kernel<kGather><<<blocks, kThreads, 0, stream>>>(args);
}

}  // namespace

void gather_rows(const GatherRowsArgs& args, int blocks_per_head, cudaStream_t stream) {
  launch<true>(args, blocks_per_head, stream);
  check_launch("gather_rows");
}

void scatter_rows(const GatherRowsArgs& args, int blocks_per_head, cudaStream_t stream) {
  launch<false>(args, blocks_per_head, stream);
  check_launch("scatter_rows");
}

}  // namespace hybridgen::cuda
