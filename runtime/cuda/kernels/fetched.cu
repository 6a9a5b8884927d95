#include "runtime/cuda/kernels/fetched.cuh"

#include "runtime/cuda/kernels/head_attention.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void send_choice_kernel(SendChoiceArgs args) {
  const std::int64_t count = *args.count;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  for (std::int64_t i = first; i < args.heads * count; i += static_cast<std::int64_t>(gridDim.x) * kThreads) {
    const std::int64_t at = i / count * args.stride + i % count;
    args.host_rows[at] = args.chosen[at];
  }
  if (first == 0) *args.host_count = static_cast<std::int32_t>(count);
}

// A block per KV head.
__global__ void pool_row_kernel(PoolRowArgs args) {
  const std::int64_t head = blockIdx.x;
  const std::int64_t from = (head * args.from.slots + args.op->first_token) * args.row_bytes;
  const std::int64_t to = (head * args.to.slots + args.newest[head]) * args.row_bytes;
  const int units = args.row_bytes / 16;
  for (int i = threadIdx.x; i < 2 * units; i += kThreads) {
    const bool is_v = i >= units;
    const std::int64_t byte = static_cast<std::int64_t>(i % units) * 16;
    *reinterpret_cast<uint4*>((is_v ? args.to.v : args.to.k) + to + byte) =
        load_streaming((is_v ? args.from.v : args.from.k) + from + byte);
  }
}

// A block per split and query head.
template <class T, int kDim>
__global__ void __launch_bounds__(kRowThreads) attend_fetched_kernel(AttendFetchedArgs args) {
  using Attention = HeadAttention<T, kDim>;
  const int head = blockIdx.y;
  const std::int64_t count = *args.count;
  const std::int64_t own = head / args.heads.group() * args.kv.slots + args.op->first_token;
  float q[Attention::Rows::kElements];
  Attention::Rows::load_query(args.q + head * kDim, args.scale, q);
  Attention attention;
  attention.attend(split_range(count + 1, args.splits, blockIdx.x, kRowGrain), q, [&](std::int64_t i) {
    return i < count ? KvRow{args.packed_keys, args.packed_values, head * count + i}
                     : KvRow{args.kv.k, args.kv.v, own};
  });
  attention.finish(head, args.splits, args.space, args.out, nullptr);
}

}  // namespace

void send_choice(const SendChoiceArgs& args, int blocks, cudaStream_t stream) {
  send_choice_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(args);
  check_launch("send_choice");
}

void pool_row(const PoolRowArgs& args, cudaStream_t stream) {
  pool_row_kernel<<<static_cast<unsigned>(args.kv_heads), kThreads, 0, stream>>>(args);
  check_launch("pool_row");
}

void attend_fetched(const AttendFetchedArgs& args, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(args.splits), static_cast<unsigned>(args.heads.query_heads));
  by_type(args.kv_type, args.heads, [&]<class T, int kDim>() {
    attend_fetched_kernel<T, kDim><<<blocks, kRowThreads, 0, stream>>>(args);
  });
  check_launch("attend_fetched");
}

}  // namespace hybridgen::cuda
