#include "runtime/cuda/kernels/block_reduce.cuh"
#include "runtime/cuda/kernels/block_select.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/partial_keys.cuh"
#include "runtime/cuda/logic/online_softmax.hpp"
#include "runtime/cuda/logic/split.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 128;

// A block per query head, a warp per column.
__global__ void __launch_bounds__(kThreads) skew_query_kernel(PartialSelectArgs args) {
  const int dim = args.heads.head_dim;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t head = blockIdx.x;
  const float* q = args.predicted + head * dim;
  const float* skew = args.store.skew + head / args.heads.group() * args.store.columns * dim;
  for (int c = static_cast<int>(threadIdx.x) / 32; c < args.store.width; c += kThreads / 32) {
    float product = 0;
    for (int d = lane; c < args.store.columns && d < dim; d += 32) product += q[d] * skew[c * dim + d];
    product = sum_over<32>(product);
    if (lane == 0) args.skewed[head * args.store.width + c] = product;
  }
  if (head == 0 && threadIdx.x == 0) *args.passing = 0;
}

// A block per split and KV head, a thread per slot: each key is read once for all heads of the group. Free
// slots lie at the bottom.
template <class T>
__global__ void __launch_bounds__(kThreads) partial_scores_kernel(PartialSelectArgs args) {
  const std::int64_t kv_head = blockIdx.y;
  const int group = args.heads.group();
  const int width = args.store.width;
  const RowRange range = split_range(args.op->tokens, args.splits, blockIdx.x, kRowGrain);
  const T* keys = reinterpret_cast<const T*>(args.store.keys) + kv_head * args.store.slots * width;
  const float* q = args.skewed + kv_head * group * width;
  float* scores = args.scores + kv_head * group * args.store.slots;
  for (std::int64_t slot = range.begin + threadIdx.x; slot < range.end; slot += kThreads) {
    float logit[kMostGroup] = {};
    for (int c = 0; c < width; ++c) {
      const float key = to_fp32(keys[slot * width + c]);
#pragma unroll
      for (int h = 0; h < kMostGroup; ++h) {
        if (h < group) logit[h] += q[h * width + c] * key;
      }
    }
    const bool there = args.store.pool.position[kv_head * args.store.slots + slot] >= 0;
#pragma unroll
    for (int h = 0; h < kMostGroup; ++h) {
      if (h < group) scores[h * args.store.slots + slot] = there ? logit[h] * args.scale : kNoLogit;
    }
  }
}

// A block per query head.
__global__ void __launch_bounds__(kThreads) count_passing_kernel(PartialSelectArgs args) {
  __shared__ float most[kThreads];
  const float* scores = args.scores + static_cast<std::int64_t>(blockIdx.x) * args.store.slots;
  const std::int64_t slots = args.op->tokens;
  float mine = kNoLogit;
  for (std::int64_t i = threadIdx.x; i < slots; i += kThreads) mine = fmaxf(mine, scores[i]);
  const float least =
      reduce_block<kThreads>(mine, most, [](float a, float b) { return fmaxf(a, b); }) - args.alpha;
  unsigned passing = 0;
  for (std::int64_t i = threadIdx.x; i < slots; i += kThreads) passing += scores[i] >= least ? 1 : 0;
  if (passing > 0) atomicAdd(args.passing, passing);
}

// A block per query head. A KV head's query heads count their reads together.
__global__ void __launch_bounds__(kSelectThreads) choose_partial_kernel(PartialSelectArgs args) {
  __shared__ SelectShared shared;
  const std::int64_t head = blockIdx.x;
  const std::int64_t pool = head / args.heads.group() * args.store.slots;
  const OpParams op = *args.op;
  const std::int64_t mean = *args.passing / static_cast<unsigned>(args.heads.query_heads);
  const std::int64_t count = mean < op.rows_per_head ? mean : op.rows_per_head;
  const float* scores = args.scores + head * args.store.slots;
  select_largest(
      op.tokens, static_cast<int>(count), Ties::older, shared, [&](std::int64_t i) { return scores[i]; },
      [&](std::int64_t slot, int rank) {
        args.chosen[head * args.stride + rank] = static_cast<std::int32_t>(slot);
        atomicAdd(args.store.pool.reads + pool + slot, 1);
        args.store.pool.last[pool + slot] = static_cast<std::int32_t>(op.first_token);
      });
  if (head == 0 && threadIdx.x == 0) *args.count = static_cast<std::int32_t>(count);
}

template <class T>
void score(const PartialSelectArgs& args, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(args.splits), static_cast<unsigned>(args.heads.kv_heads));
  partial_scores_kernel<T><<<blocks, kThreads, 0, stream>>>(args);
  check_launch("partial_select: scores");
}

}  // namespace

void partial_select(const PartialSelectArgs& args, cudaStream_t stream) {
  const auto heads = static_cast<unsigned>(args.heads.query_heads);
  skew_query_kernel<<<heads, kThreads, 0, stream>>>(args);
  check_launch("partial_select: query");
  if (args.kv_type == KvType::f16) score<__half>(args, stream);
  if (args.kv_type == KvType::bf16) score<kernels::Bfloat>(args, stream);
  if (args.kv_type == KvType::f32) score<float>(args, stream);
  count_passing_kernel<<<heads, kThreads, 0, stream>>>(args);
  check_launch("partial_select: count");
  choose_partial_kernel<<<heads, kSelectThreads, 0, stream>>>(args);
  check_launch("partial_select: choice");
}

}  // namespace hybridgen::cuda
