#include "runtime/cuda/kernels/partial_keys.cuh"

#include "runtime/cuda/kernels/block_reduce.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/row_workers.cuh"
#include "runtime/cuda/logic/pool_rank.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kPoolThreads = 256;

// The sum of |q A| over the prompt and the KV head's query heads, a block per column and KV head.
__global__ void __launch_bounds__(kThreads) column_weights_kernel(PartialKeysArgs args) {
  __shared__ double sums[kThreads];
  const int dim = args.heads.head_dim;
  const int group = args.heads.group();
  const float* column = args.skew == nullptr
                            ? nullptr
                            : args.skew + (static_cast<std::int64_t>(blockIdx.y) * dim + blockIdx.x) * dim;
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < args.op->tokens * group; i += kThreads) {
    const float* q = args.q + i / group * args.q_stride + (blockIdx.y * group + i % group) * dim;
    float product = 0;
    if (column == nullptr) {
      product = q[blockIdx.x];
    } else {
      for (int d = 0; d < dim; ++d) product += q[d] * column[d];
    }
    sum += fabs(static_cast<double>(product));
  }
  const double total = reduce_block<kThreads>(sum, sums, [](double a, double b) { return a + b; });
  if (threadIdx.x == 0) args.weights[blockIdx.y * dim + blockIdx.x] = total;
}

// The largest first, of equal ones the lower column; a block per KV head, a thread per column.
__global__ void choose_columns_kernel(PartialKeysArgs args) {
  const int dim = args.heads.head_dim;
  const int column = static_cast<int>(threadIdx.x);
  const double* weights = args.weights + blockIdx.x * dim;
  int rank = 0;
  for (int c = 0; c < dim; ++c) {
    rank += weights[c] > weights[column] || (weights[c] == weights[column] && c < column) ? 1 : 0;
  }
  if (rank >= args.store.columns) return;
  float* to = args.store.skew + (static_cast<std::int64_t>(blockIdx.x) * args.store.columns + rank) * dim;
  const float* from = args.skew == nullptr
                          ? nullptr
                          : args.skew + (static_cast<std::int64_t>(blockIdx.x) * dim + column) * dim;
  for (int d = 0; d < dim; ++d) to[d] = from != nullptr ? from[d] : d == column ? 1.0F : 0.0F;
}

// One KV head's part of a pool.
struct PoolHead {
  std::int32_t *position, *reads, *last, *free;
  std::int64_t slots;

  __device__ void put(std::int64_t slot, std::int64_t at) const {
    position[slot] = static_cast<std::int32_t>(at);
    reads[slot] = 0;
    last[slot] = -1;
  }
};

// The slot of the row that ranks lowest among the first `taken`, in all threads.
__device__ std::int64_t lowest_slot(const PoolHead& pool, std::int64_t taken, std::int64_t position,
                                    PoolEviction evict, PoolRank* ranks) {
  PoolRank mine;
  for (std::int64_t slot = threadIdx.x; slot < taken; slot += kPoolThreads) {
    if (pool.position[slot] < 0) continue;
    mine = lower(mine, rank_of(evict, position, pool.position[slot], pool.reads[slot], pool.last[slot],
                               static_cast<std::int32_t>(slot)));
  }
  return reduce_block<kPoolThreads>(mine, ranks,
                                    [](const PoolRank& a, const PoolRank& b) { return lower(a, b); })
      .slot;
}

// A block per KV head.
__global__ void __launch_bounds__(kPoolThreads) place_rows_kernel(PartialKeysArgs args) {
  __shared__ PoolRank ranks[kPoolThreads];
  const std::int64_t head = blockIdx.x;
  const std::int64_t at = head * args.store.slots;
  const PoolStore& store = args.store.pool;
  const PoolHead pool{store.position + at, store.reads + at, store.last + at, store.free + at,
                      args.store.slots};
  const OpParams op = *args.op;
  if (args.prompt) {
    for (std::int64_t slot = threadIdx.x; slot < pool.slots; slot += kPoolThreads) {
      pool.put(slot, slot < op.tokens ? slot : -1);
    }
    if (threadIdx.x != 0) return;
    store.taken[head] = static_cast<std::int32_t>(op.tokens);
    store.free_count[head] = 0;
    store.newest[head] = static_cast<std::int32_t>(op.tokens - 1);
    return;
  }
  const std::int64_t taken = store.taken[head];
  std::int64_t free_count = store.free_count[head];
  while (args.pool_tokens > 0 && taken - free_count >= args.pool_tokens) {
    const std::int64_t victim = lowest_slot(pool, taken, op.first_token, args.evict, ranks);
    if (threadIdx.x == 0) {
      pool.position[victim] = -1;
      pool.free[free_count] = static_cast<std::int32_t>(victim);
    }
    ++free_count;
    __syncthreads();
  }
  if (threadIdx.x != 0) return;
  const std::int64_t slot = free_count > 0 ? pool.free[--free_count] : taken;
  store.taken[head] = static_cast<std::int32_t>(slot == taken ? taken + 1 : taken);
  store.free_count[head] = static_cast<std::int32_t>(free_count);
  store.newest[head] = static_cast<std::int32_t>(slot);
  pool.put(slot, op.first_token);
}

// Tokens over warps of blocks in x, KV heads in y.
template <class T>
__global__ void __launch_bounds__(kThreads) keep_keys_kernel(PartialKeysArgs args) {
  const int dim = args.heads.head_dim;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t head = blockIdx.y;
  const OpParams op = *args.op;
  const float* skew = args.store.skew + head * args.store.columns * dim;
  const std::int64_t warps = static_cast<std::int64_t>(gridDim.x) * (kThreads / 32);
  for (std::int64_t t = static_cast<std::int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
       t < op.tokens; t += warps) {
    const std::int64_t position = op.first_token + t;
    const std::int64_t slot = args.prompt ? position : args.store.pool.newest[head];
    const T* key = reinterpret_cast<const T*>(args.kv.k) + (head * args.kv.slots + position) * dim;
    T* to = reinterpret_cast<T*>(args.store.keys) + (head * args.store.slots + slot) * args.store.width;
    for (int c = 0; c < args.store.width; ++c) {
      float product = 0;
      for (int d = lane; c < args.store.columns && d < dim; d += 32)
        product += to_fp32(key[d]) * skew[c * dim + d];
      product = sum_over<32>(product);
      if (lane == 0) store(to + c, product);
    }
  }
}

template <class T>
void keep_keys(const PartialKeysArgs& args, int blocks, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(args.prompt ? blocks : 1),
                  static_cast<unsigned>(args.heads.kv_heads));
  keep_keys_kernel<T><<<grid, kThreads, 0, stream>>>(args);
  check_launch("partial_keys: keys");
}

}  // namespace

void partial_keys(const PartialKeysArgs& args, int blocks, cudaStream_t stream) {
  const auto heads = static_cast<unsigned>(args.heads.kv_heads);
  const auto dim = static_cast<unsigned>(args.heads.head_dim);
  if (args.prompt) {
    const dim3 columns(dim, heads);
    column_weights_kernel<<<columns, kThreads, 0, stream>>>(args);
    check_launch("partial_keys: weights");
    choose_columns_kernel<<<heads, dim, 0, stream>>>(args);
    check_launch("partial_keys: columns");
  }
  place_rows_kernel<<<heads, kPoolThreads, 0, stream>>>(args);
  check_launch("partial_keys: pool");
  if (args.kv_type == KvType::f16) return keep_keys<__half>(args, blocks, stream);
  if (args.kv_type == KvType::bf16) return keep_keys<kernels::Bfloat>(args, blocks, stream);
  keep_keys<float>(args, blocks, stream);
}

}  // namespace hybridgen::cuda
