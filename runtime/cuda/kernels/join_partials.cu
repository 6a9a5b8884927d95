#include "runtime/cuda/kernels/join_partials.cuh"

#include "runtime/cuda/logic/online_softmax.hpp"

namespace hybridgen::cuda {
namespace {

// A block per query head, a thread per element.
__global__ void join_partials_kernel(JoinPartialsArgs args) {
  const int head = blockIdx.x;
  const SoftmaxPiece mine = {args.lse[head], 1};
  const SoftmaxPiece others = {args.other_lse[head], 1};
  const SoftmaxPiece whole = merged(mine, others);
  const std::int64_t at = static_cast<std::int64_t>(head) * args.heads.head_dim + threadIdx.x;
  args.out[at] = share_of(mine, whole) * args.out[at] + share_of(others, whole) * args.other_out[at];
}

}  // namespace

void join_partials(const JoinPartialsArgs& args, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(args.heads.query_heads);
  const auto threads = static_cast<unsigned>(args.heads.head_dim);
  join_partials_kernel<<<blocks, threads, 0, stream>>>(args);
  check_launch("join_partials");
}

}  // namespace hybridgen::cuda
