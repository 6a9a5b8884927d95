#include "runtime/cuda/kernels/exchange.cuh"

#include "runtime/cuda/kernels/device.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void send_query_kernel(const float* q, int floats, float* to_host) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < floats) to_host[i] = q[i];
}

// The host writes mapped memory while the kernels of earlier layers run. Plain loads see it all the same: the
// flag that the kernel before this one waited for was raised behind those writes and is acquired at system
// scope (flags.cu; PTX ISA, memory consistency model), and a kernel starts with an empty first-level cache.
// Volatile ones ask the link for 32 bytes at a time: 14 GB/s on an H100 where these reach 40.
__global__ void send_partial_kernel(const float* from_host, int floats, float* partial) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < floats) partial[i] = from_host[i];
}

__global__ void send_scores_kernel(SendScoresArgs args) {
  const int first = blockIdx.x * kThreads + threadIdx.x;
  const int stride = gridDim.x * kThreads;
  const std::int32_t count = args.host_offsets[args.heads];
  for (int i = first; i <= args.heads; i += stride) args.offsets[i] = args.host_offsets[i];
  for (int i = first; i < count; i += stride) args.scores[i] = args.host_scores[i];
}

__global__ void send_rows_kernel(SendRowsArgs args) {
  constexpr int kUnderWay = 4;
  const std::int64_t rows = args.host_offsets[args.heads] / args.group;
  const std::int64_t units = rows * (args.row_bytes / 16);
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
       args.offsets != nullptr && i <= args.heads; i += stride) {
    args.offsets[i] = args.host_offsets[i];
  }
  for (std::int64_t base = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; base < units;
       base += kUnderWay * stride) {
    uint4 data[kUnderWay];
#pragma unroll
    for (int u = 0; u < kUnderWay; ++u) {
      const std::int64_t i = base + u * stride;
      if (i < units) data[u] = load_streaming(args.host_packed + i * 16);
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
