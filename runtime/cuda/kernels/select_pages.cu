#include "runtime/cuda/kernels/block_select.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/pages.cuh"
#include "runtime/cuda/logic/split.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kScoreThreads = 128;
constexpr int kScoreWarps = kScoreThreads / 32;

// A block per split and KV head, a warp per page. A channel's larger product is with its least where q is
// negative, else with its largest.
template <class T, int kDim, int kHeads>
__global__ void __launch_bounds__(kScoreThreads) page_scores_kernel(SelectPagesArgs args) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int group = args.heads.group();
  const int first_head = blockIdx.y * group;
  const std::int64_t count = args.op->tokens / args.pages.page_tokens;
  const RowRange range = split_range(count, args.splits, blockIdx.x, kScoreWarps);
  const T* bounds = reinterpret_cast<const T*>(args.pages.bounds) + blockIdx.y * args.pages.pages * 2 * kDim;
  for (std::int64_t page = range.begin + warp; page < range.end; page += kScoreWarps) {
    float sum[kHeads] = {};
#pragma unroll
    for (int d = lane; d < kDim; d += 32) {
      const float least = to_fp32(bounds[page * 2 * kDim + d]);
      const float largest = to_fp32(bounds[page * 2 * kDim + kDim + d]);
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        if (h >= group) break;
        const float q = args.q[(first_head + h) * kDim + d];
        sum[h] += q < 0 ? q * least : q * largest;
      }
    }
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      if (h >= group) break;
      const float bound = sum_over<32>(sum[h]);
      if (lane == 0) args.scores[(first_head + h) * args.pages.pages + page] = bound;
    }
  }
}

// A block per query head.
__global__ void __launch_bounds__(kSelectThreads) choose_pages_kernel(SelectPagesArgs args) {
  __shared__ SelectShared shared;
  const std::int64_t at = blockIdx.x * args.pages.pages;
  const std::int64_t count = args.op->tokens / args.pages.page_tokens;
  const int wanted = static_cast<int>(args.op->rows_per_head / args.pages.page_tokens);
  select_largest(
      count, wanted, Ties::older, shared, [&](std::int64_t i) { return args.scores[at + i]; },
      [&](std::int64_t i, int rank) { args.chosen[at + rank] = static_cast<std::int32_t>(i); });
}

}  // namespace

void select_pages(const SelectPagesArgs& args, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(args.splits), static_cast<unsigned>(args.heads.kv_heads));
  by_type_and_group(args.kv_type, args.heads, [&]<class T, int kDim, int kHeads>() {
    page_scores_kernel<T, kDim, kHeads><<<blocks, kScoreThreads, 0, stream>>>(args);
  });
  check_launch("select_pages: bounds");
  choose_pages_kernel<<<static_cast<unsigned>(args.heads.query_heads), kSelectThreads, 0, stream>>>(args);
  check_launch("select_pages: choice");
}

}  // namespace hybridgen::cuda
