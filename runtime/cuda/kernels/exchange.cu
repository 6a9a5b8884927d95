#include "runtime/cuda/kernels/exchange.cuh"

#include "runtime/cuda/kernels/device.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void send_query_kernel(const float* q, int floats, float* to_host) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < floats) to_host[i] = q[i];
}

// The host writes mapped memory while the kernels of earlier layers run: every load goes past the caches
// (volatile), or it could meet last layer's line.
template <class T>
__device__ T load_mapped(const T* address) {
  return *static_cast<const volatile T*>(address);
}

__device__ uint4 load_mapped16(const std::byte* address) {
  uint4 data;
  asm volatile("ld.volatile.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(data.x), "=r"(data.y), "=r"(data.z), "=r"(data.w)
               : "l"(address)
               : "memory");
  return data;
}

__global__ void send_partial_kernel(const float* from_host, int floats, float* partial) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < floats) partial[i] = load_mapped(from_host + i);
}

__global__ void send_scores_kernel(SendScoresArgs args) {
  const int first = blockIdx.x * kThreads + threadIdx.x;
  const int stride = gridDim.x * kThreads;
  const std::int32_t count = load_mapped(args.host_offsets + args.heads);
  for (int i = first; i <= args.heads; i += stride) args.offsets[i] = load_mapped(args.host_offsets + i);
  for (int i = first; i < count; i += stride) args.scores[i] = load_mapped(args.host_scores + i);
}

__global__ void send_rows_kernel(SendRowsArgs args) {
  constexpr int kUnderWay = 4;
  const std::int64_t rows = load_mapped(args.host_offsets + args.heads) / args.group;
  const std::int64_t units = rows * (args.row_bytes / 16);
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
       args.offsets != nullptr && i <= args.heads; i += stride) {
    args.offsets[i] = load_mapped(args.host_offsets + i);
  }
  for (std::int64_t base = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; base < units;
       base += kUnderWay * stride) {
    uint4 data[kUnderWay];
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) {
      const std::int64_t i = base + u * stride;
      if (i < units) data[u] = load_mapped16(args.host_packed + i * 16);
    }
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) {
      const std::int64_t i = base + u * stride;
      if (i < units) *reinterpret_cast<uint4*>(args.packed + i * 16) = data[u];
    }
  }
}

}  // namespace

void send_query(const float* q, int floats, float* to_host, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((floats + kThreads - 1) / kThreads);
  send_query_kernel<<<blocks, kThreads, 0, stream>>>(q, floats, to_host);
  check_launch("send_query");
}

void send_partial(const float* from_host, int floats, float* partial, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((floats + kThreads - 1) / kThreads);
  send_partial_kernel<<<blocks, kThreads, 0, stream>>>(from_host, floats, partial);
  check_launch("send_partial");
}

void send_scores(const SendScoresArgs& args, int blocks, cudaStream_t stream) {
  send_scores_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(args);
  check_launch("send_scores");
}

void send_rows(const SendRowsArgs& args, int blocks, cudaStream_t stream) {
  send_rows_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(args);
  check_launch("send_rows");
}

}  // namespace hybridgen::cuda
