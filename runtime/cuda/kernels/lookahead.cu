#include "runtime/cuda/kernels/lookahead.cuh"

#include "runtime/cuda/kernels/block_reduce.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/row_workers.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;

// A block per split and query head.
template <class T, int kDim>
__global__ void __launch_bounds__(kRowThreads) row_logits_kernel(RowLogitsArgs args) {
  using Rows = RowWorkers<T, kDim>;
  const int head = blockIdx.y;
  const PackedRows rows = args.offsets.of(head);
  const RowRange range = split_range(rows.count, args.splits, blockIdx.x, kRowGrain);
  float q[Rows::kElements];
  Rows::load_query(args.q + head * kDim, args.scale, q);
  // All lanes stay in the loop: the dot product needs their shuffles.
  for (std::int64_t base = range.begin; base < range.end; base += Rows::kCount) {
    const std::int64_t n = base + Rows::worker();
    float row[Rows::kElements];
    const std::int64_t at = rows.first_row + (n < range.end ? n : range.begin);
    Vector<T>::unpack(load_streaming(Rows::at(args.packed, at)), row);
    const float logit = Rows::dot(q, row);
    if (Rows::lane() == 0 && n < range.end) args.scores[rows.first_score + n] = logit;
  }
}

__device__ double sum_of_block(double x, double* shared) {
  return reduce_block<kThreads>(x, shared, [](double a, double b) { return a + b; });
}

// A block per query head.
__global__ void __launch_bounds__(kThreads) fit_logits_kernel(FitLogitsArgs args) {
  __shared__ double sums[kThreads];
  const std::int64_t head = blockIdx.x;
  const std::int64_t tokens = args.op->tokens;
  const std::int64_t sinks = args.sinks < tokens ? args.sinks : tokens;
  const std::int64_t n = tokens - sinks;
  const float* x = args.predicted + head * args.stride + sinks;
  const float* y = args.true_scores + head * args.stride + sinks;
  double sum_x = 0;
  double sum_y = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += kThreads) sum_x += x[i], sum_y += y[i];
  const double mean_x = sum_of_block(sum_x, sums) / static_cast<double>(n > 0 ? n : 1);
  const double mean_y = sum_of_block(sum_y, sums) / static_cast<double>(n > 0 ? n : 1);
  double spread = 0;
  double together = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += kThreads) {
    const double dx = x[i] - mean_x;
    spread += dx * dx;
    together += dx * (y[i] - mean_y);
  }
  spread = sum_of_block(spread, sums);
  together = sum_of_block(together, sums);
  if (threadIdx.x != 0) return;
  const double slope = spread > 0 ? together / spread : 1;
  args.slope[head] = static_cast<float>(slope);
  args.shift[head] = static_cast<float>(mean_y - slope * mean_x);
}

// A block per query head.
__global__ void __launch_bounds__(kThreads) correct_scores_kernel(CorrectScoresArgs args) {
  const int head = blockIdx.x;
  const PackedRows rows = args.offsets.of(head);
  for (std::int64_t i = threadIdx.x; i < rows.count; i += kThreads) {
    float& score = args.scores[rows.first_score + i];
    score = args.slope[head] * score + args.shift[head];
  }
}

}  // namespace

void row_logits(const RowLogitsArgs& args, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(args.splits), static_cast<unsigned>(args.heads.query_heads));
  by_type(args.kv_type, args.heads,
          [&]<class T, int kDim>() { row_logits_kernel<T, kDim><<<blocks, kRowThreads, 0, stream>>>(args); });
  check_launch("row_logits");
}

void fit_logits(const FitLogitsArgs& args, cudaStream_t stream) {
  fit_logits_kernel<<<static_cast<unsigned>(args.heads.query_heads), kThreads, 0, stream>>>(args);
  check_launch("fit_logits");
}

void correct_scores(const CorrectScoresArgs& args, cudaStream_t stream) {
  correct_scores_kernel<<<static_cast<unsigned>(args.heads.query_heads), kThreads, 0, stream>>>(args);
  check_launch("correct_scores");
}

}  // namespace hybridgen::cuda
