#include "runtime/cuda/kernels/keep_rows.cuh"

#include "runtime/cuda/kernels/block_select.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kCopyThreads = 256;

__device__ float pooled_at(const float* mass, std::int64_t n, std::int64_t i, std::int64_t width,
                           bool largest) {
  const std::int64_t begin = i - width / 2 < 0 ? 0 : i - width / 2;
  const std::int64_t end = i + width / 2 + 1 > n ? n : i + width / 2 + 1;
  float value = mass[begin];
  for (std::int64_t j = begin + 1; j < end; ++j) value = largest ? fmaxf(value, mass[j]) : value + mass[j];
  return largest ? value : value / static_cast<float>(width);
}

struct Kept {
  std::int32_t* positions;
  float* mass;
  __device__ void describe(std::int64_t slot, std::int64_t position, float with) const {
    positions[slot] = static_cast<std::int32_t>(position);
    mass[slot] = with;
  }
};

// Those chosen by no mass: the newest, behind `older` slots that are taken.
template <class MassOf>
__device__ void keep_newest(const Kept& kept, std::int64_t older, std::int64_t count, std::int64_t prompt,
                            const MassOf& mass_of) {
  for (std::int64_t slot = older + threadIdx.x; slot < count; slot += kSelectThreads) {
    const std::int64_t position = prompt - count + slot;
    kept.describe(slot, position, mass_of(position));
  }
}

// A block per KV head.
__global__ void __launch_bounds__(kSelectThreads) choose_rows_kernel(KeepRowsArgs args) {
  __shared__ SelectShared shared;
  const std::int64_t head = blockIdx.x;
  const std::int64_t prompt = args.op->tokens;
  const std::int64_t count = args.op->rows_per_head;
  const Kept kept{args.kept.positions + head * args.kept.slots, args.kept.mass + head * args.kept.slots};
  if (args.rule == SelectRule::sink_window) {
    const std::int64_t sinks = args.keep.sinks < count ? args.keep.sinks : count;
    for (std::int64_t slot = threadIdx.x; slot < sinks; slot += kSelectThreads)
      kept.describe(slot, slot, 0.0F);
    return keep_newest(kept, sinks, count, prompt, [](std::int64_t) { return 0.0F; });
  }
  const float* mass = args.mass + head * args.stride;
  if (args.rule == SelectRule::heavy_hitter) {
    const std::int64_t recent = args.keep.recent < count ? args.keep.recent : count;
    select_largest(
        prompt - recent, static_cast<int>(count - recent), Ties::younger, shared,
        [&](std::int64_t i) { return mass[i]; },
        [&](std::int64_t i, int rank) { kept.describe(rank, i, mass[i]); });
    return keep_newest(kept, count - recent, count, prompt, [&](std::int64_t p) { return mass[p]; });
  }
  const auto stays = [](std::int64_t) { return kStays; };
  if (count == prompt) return keep_newest(kept, 0, count, prompt, stays);
  const std::int64_t prefix = prompt - args.keep.window;
  float* pooled = args.pooled + head * args.stride;
  for (std::int64_t i = threadIdx.x; i < prefix; i += kSelectThreads) {
    pooled[i] = pooled_at(mass, prefix, i, args.keep.kernel, args.keep.pooling == Pooling::max);
  }
  __syncthreads();
  const std::int64_t chosen = count - args.keep.window;
  select_largest(
      prefix, static_cast<int>(chosen), Ties::older, shared, [&](std::int64_t i) { return pooled[i]; },
      [&](std::int64_t i, int rank) { kept.describe(rank, i, pooled[i]); });
  keep_newest(kept, chosen, count, prompt, stays);
}

// A thread per 16 bytes of K or V.
__global__ void copy_kept_kernel(KeepRowsArgs args) {
  const std::int64_t per_row = args.row_bytes / 16;
  const std::int64_t rows = args.op->rows_per_head;
  const std::int64_t units = 2 * args.kv_heads * rows * per_row;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kCopyThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kCopyThreads + threadIdx.x; i < units;
       i += stride) {
    const std::int64_t row = i / per_row % (args.kv_heads * rows);
    const std::int64_t head = row / rows;
    const std::int64_t slot = row % rows;
    const bool is_v = i / per_row >= args.kv_heads * rows;
    const std::int64_t position = args.kept.positions[head * args.kept.slots + slot];
    const std::int64_t byte = i % per_row * 16;
    const std::byte* from =
        (is_v ? args.from.v : args.from.k) + (head * args.from.slots + position) * args.row_bytes;
    std::byte* to = (is_v ? args.to.v : args.to.k) + (head * args.to.slots + slot) * args.row_bytes;
    *reinterpret_cast<uint4*>(to + byte) = load_streaming(from + byte);
  }
}

}  // namespace

void keep_rows(const KeepRowsArgs& args, int blocks, cudaStream_t stream) {
  choose_rows_kernel<<<static_cast<unsigned>(args.kv_heads), kSelectThreads, 0, stream>>>(args);
  check_launch("keep_rows: choice");
  copy_kept_kernel<<<static_cast<unsigned>(blocks), kCopyThreads, 0, stream>>>(args);
  check_launch("keep_rows: copy");
}

}  // namespace hybridgen::cuda
