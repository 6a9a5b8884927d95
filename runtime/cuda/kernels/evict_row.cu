#include "runtime/cuda/kernels/evict_row.cuh"

#include "runtime/cuda/kernels/block_reduce.cuh"
#include "runtime/cuda/logic/keep_key.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;

// A block per KV head.
__global__ void __launch_bounds__(kThreads) evict_row_kernel(EvictRowArgs args) {
  __shared__ KeepKey keys[kThreads];
  const OpParams op = *args.op;
  const std::int64_t at = blockIdx.x * args.kept.slots;
  std::int32_t* positions = args.kept.positions + at;
  float* mass = args.kept.mass + at;
  KeepKey mine;
  for (std::int64_t slot = threadIdx.x; op.evict != 0 && slot < op.tokens; slot += kThreads) {
    mine = first_to_go(mine, key_of(args.rule, args.keep, op.first_position, positions[slot], mass[slot],
                                    static_cast<std::int32_t>(slot)));
  }
  const KeepKey goes = reduce_block<kThreads>(
      mine, keys, [](const KeepKey& a, const KeepKey& b) { return first_to_go(a, b); });
  if (threadIdx.x != 0) return;
  const std::int64_t slot = op.evict != 0 ? goes.slot : op.tokens - 1;
  args.kept.next[blockIdx.x] = static_cast<std::int32_t>(slot);
  positions[slot] = static_cast<std::int32_t>(op.first_position);
  mass[slot] = args.rule == SelectRule::observation_window ? kStays : 0.0F;
}

}  // namespace

void evict_row(const EvictRowArgs& args, cudaStream_t stream) {
  evict_row_kernel<<<static_cast<unsigned>(args.kv_heads), kThreads, 0, stream>>>(args);
  check_launch("evict_row");
}

}  // namespace hybridgen::cuda
