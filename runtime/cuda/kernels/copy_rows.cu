#include "runtime/cuda/kernels/copy_rows.cuh"

#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/logic/slots.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kUnderWay = 4;  // loads of a thread before it stores: the link's latency is long

// 16 bytes of K or V: unit i counts head, then token, then place in the row.
struct Unit {
  const std::byte* from = nullptr;
  std::byte* to = nullptr;
};

__device__ std::int64_t row_of(const KvStore& store, std::int64_t head, std::int64_t token) {
  return head * store.slots + segment_slot(token - store.first, store.slots, store.sinks);
}

__device__ Unit unit_at(const CopyRowsArgs& args, const OpParams& op, std::int64_t i) {
  const int per_row = args.row_bytes / 16;
  const std::int64_t per_half = args.kv_heads * op.tokens * per_row;
  const bool is_v = i >= per_half;
  const std::int64_t rest = is_v ? i - per_half : i;
  const std::int64_t row = rest / per_row;
  const std::int64_t head = row / op.tokens;
  const std::int64_t token = op.first_token + row % op.tokens;
  const std::int64_t byte = rest % per_row * 16;
  const std::int64_t from = row_of(args.from, head, token) * args.row_bytes + byte;
  const std::int64_t to = row_of(args.to, head, token) * args.row_bytes + byte;
  return {(is_v ? args.from.v : args.from.k) + from, (is_v ? args.to.v : args.to.k) + to};
}

__global__ void __launch_bounds__(kThreads) copy_rows_kernel(CopyRowsArgs args) {
  const OpParams op = *args.op;
  const std::int64_t units = 2 * args.kv_heads * op.tokens * (args.row_bytes / 16);
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t base = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; base < units;
       base += kUnderWay * stride) {
    uint4 data[kUnderWay];
    std::byte* to[kUnderWay];
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) {
      to[u] = nullptr;
      if (base + u * stride >= units) continue;
      const Unit unit = unit_at(args, op, base + u * stride);
      data[u] = load_streaming(unit.from);
      to[u] = unit.to;
    }
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) {
      if (to[u] != nullptr) *reinterpret_cast<uint4*>(to[u]) = data[u];
    }
  }
}

}  // namespace

void copy_rows(const CopyRowsArgs& args, int blocks, cudaStream_t stream) {
  copy_rows_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(args);
  check_launch("copy_rows");
}

}  // namespace hybridgen::cuda
