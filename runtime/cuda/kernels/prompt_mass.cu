#include "runtime/cuda/kernels/prompt_mass.cuh"

#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/row_workers.cuh"
#include "runtime/cuda/logic/online_softmax.hpp"

namespace hybridgen::cuda {
namespace {

// The log-sum-exp of one query token's logits, a block per token and KV head.
template <class T, int kDim, int kHeads>
__global__ void __launch_bounds__(kRowThreads) prompt_lse_kernel(PromptMassArgs args) {
  using Rows = RowWorkers<T, kDim>;
  __shared__ SoftmaxPiece pieces[Rows::kCount][kHeads];
  const std::int64_t token = args.first_query + blockIdx.x;
  const int group = args.heads.group();
  const int first_head = blockIdx.y * group;
  const std::int64_t head_slots = blockIdx.y * args.kv.slots;
  float q[kHeads][Rows::kElements];
  SoftmaxPiece piece[kHeads];
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    if (h < group)
      Rows::load_query(args.q + token * args.q_stride + (first_head + h) * kDim, args.scale, q[h]);
  }
  // All lanes stay in the loop: the dot product needs their shuffles.
  for (std::int64_t base = 0; base <= token; base += Rows::kCount) {
    const std::int64_t n = base + Rows::worker();
    float row[Rows::kElements];
    Vector<T>::unpack(load_streaming(Rows::at(args.kv.k, head_slots + (n <= token ? n : 0))), row);
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      if (h >= group) break;
      const float logit = Rows::dot(q[h], row);
      if (n > token) continue;
      raise_max(piece[h], logit);
      add_row(piece[h], logit);
    }
  }
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    if (h < group && Rows::lane() == 0) pieces[Rows::worker()][h] = piece[h];
  }
  __syncthreads();
  const int head = static_cast<int>(threadIdx.x);
  if (head >= group) return;
  SoftmaxPiece whole;
  for (int w = 0; w < Rows::kCount; ++w) whole = merged(whole, pieces[w][head]);
  args.lse[token * args.heads.query_heads + first_head + head] = log_sum_exp(whole);
}

// The mass of as many rows as a block has workers, added up in the order of the queries.
template <class T, int kDim, int kHeads>
__global__ void __launch_bounds__(kRowThreads) prompt_mass_kernel(PromptMassArgs args) {
  using Rows = RowWorkers<T, kDim>;
  const std::int64_t tokens = args.tokens;
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.x) * Rows::kCount;
  const std::int64_t n = first_row + Rows::worker();
  const int group = args.heads.group();
  const int first_head = blockIdx.y * group;
  float row[Rows::kElements];
  const std::int64_t slot = blockIdx.y * args.kv.slots + (n < tokens ? n : first_row);
  Vector<T>::unpack(load_streaming(Rows::at(args.kv.k, slot)), row);
  const std::int64_t first_query = args.first_query > first_row ? args.first_query : first_row;
  float mass = 0;
  for (std::int64_t t = first_query; t < tokens; ++t) {
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      if (h >= group) break;
      float q[Rows::kElements];
      Rows::load_query(args.q + t * args.q_stride + (first_head + h) * kDim, args.scale, q);
      const float logit = Rows::dot(q, row);
      if (n <= t) mass += expf(logit - args.lse[t * args.heads.query_heads + first_head + h]);
    }
  }
  if (Rows::lane() == 0 && n < tokens) args.mass[blockIdx.y * args.stride + n] = mass;
}

template <class T, int kDim, int kHeads>
void launch(const PromptMassArgs& args, cudaStream_t stream) {
  const auto kv_heads = static_cast<unsigned>(args.heads.kv_heads);
  const dim3 queries(static_cast<unsigned>(args.tokens - args.first_query), kv_heads);
  prompt_lse_kernel<T, kDim, kHeads><<<queries, kRowThreads, 0, stream>>>(args);
  check_launch("prompt_mass: sums");
  constexpr int kRows = RowWorkers<T, kDim>::kCount;
  const dim3 rows(static_cast<unsigned>((args.tokens + kRows - 1) / kRows), kv_heads);
  prompt_mass_kernel<T, kDim, kHeads><<<rows, kRowThreads, 0, stream>>>(args);
  check_launch("prompt_mass");
}

}  // namespace

void prompt_mass(const PromptMassArgs& args, cudaStream_t stream) {
  by_type_and_group(args.kv_type, args.heads,
                    [&]<class T, int kDim, int kHeads>() { launch<T, kDim, kHeads>(args, stream); });
}

}  // namespace hybridgen::cuda
