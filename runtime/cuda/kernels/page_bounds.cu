#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/pages.cuh"
#include "runtime/cuda/kernels/row_workers.cuh"

namespace hybridgen::cuda {
namespace {

// Pages over blocks in x, KV heads in y; a thread per channel.
template <class T, int kDim>
__global__ void page_bounds_kernel(PageBoundsArgs args) {
  const OpParams op = *args.op;
  const std::int64_t page_tokens = args.pages.page_tokens;
  const std::int64_t end = op.first_token + op.tokens;
  const T* k = reinterpret_cast<const T*>(args.kv.k) + blockIdx.y * args.kv.slots * kDim + threadIdx.x;
  T* bounds =
      reinterpret_cast<T*>(args.pages.bounds) + blockIdx.y * args.pages.pages * 2 * kDim + threadIdx.x;
  for (std::int64_t page = op.first_token / page_tokens + blockIdx.x; page * page_tokens < end;
       page += gridDim.x) {
    const std::int64_t start = page * page_tokens;
    const std::int64_t first = op.first_token > start ? op.first_token : start;
    const std::int64_t stop = end < start + page_tokens ? end : start + page_tokens;
    T* bound = bounds + page * 2 * kDim;
    float least = first == start ? to_fp32(k[first * kDim]) : to_fp32(bound[0]);
    float largest = first == start ? least : to_fp32(bound[kDim]);
    for (std::int64_t row = first; row < stop; ++row) {
      const float x = to_fp32(k[row * kDim]);
      least = fminf(least, x);
      largest = fmaxf(largest, x);
    }
    store(bound, least);
    store(bound + kDim, largest);
  }
}

}  // namespace

void page_bounds(const PageBoundsArgs& args, int blocks, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(args.heads.kv_heads));
  by_type(args.kv_type, args.heads,
          [&]<class T, int kDim>() { page_bounds_kernel<T, kDim><<<grid, kDim, 0, stream>>>(args); });
  check_launch("page_bounds");
}

}  // namespace hybridgen::cuda
