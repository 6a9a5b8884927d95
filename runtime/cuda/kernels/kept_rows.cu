#include "runtime/cuda/kernels/kept_rows.cuh"

#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/row_workers.cuh"
#include "runtime/cuda/logic/small_ops.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kMassThreads = 256;

// A block per query head; its workers take the sinks in turn.
template <class T, int kDim>
__global__ void __launch_bounds__(kRowThreads) sink_logits_kernel(SinkLogitsArgs args) {
  using Rows = RowWorkers<T, kDim>;
  __shared__ float turned[kDim];
  const OpParams op = *args.op;
  const std::int64_t back = op.first_position + 1 - op.tokens;
  if (back == 0) return;
  const int head = blockIdx.x;
  const int half = kDim / 2;
  for (int i = threadIdx.x; i < half; i += kRowThreads) {
    const double angle = -static_cast<double>(back) * args.frequencies[i];
    const RopePair pair = {args.q[head * kDim + i], args.q[head * kDim + i + half]};
    const RopePair there = rotate(pair, static_cast<float>(cos(angle)), static_cast<float>(sin(angle)));
    turned[i] = there.low;
    turned[i + half] = there.high;
  }
  __syncthreads();
  float q[Rows::kElements];
  Rows::load_query(turned, args.scale, q);
  const std::int64_t head_slots = head / args.heads.group() * args.kv.slots;
  const std::int64_t sinks = args.sinks < op.tokens ? args.sinks : op.tokens;
  for (std::int64_t base = 0; base < sinks; base += Rows::kCount) {
    const std::int64_t n = base + Rows::worker();
    float row[Rows::kElements];
    Vector<T>::unpack(load_streaming(Rows::at(args.kv.k, head_slots + (n < sinks ? n : 0))), row);
    const float logit = Rows::dot(q, row);
    if (Rows::lane() == 0 && n < sinks) args.scores[head * args.stride + n] = logit;
  }
}

// Rows over blocks in x, KV heads in y.
__global__ void __launch_bounds__(kMassThreads) add_mass_kernel(AddMassArgs args) {
  const std::int64_t rows = args.op->tokens;
  const int group = args.heads.group();
  float* mass = args.kept.mass + blockIdx.y * args.kept.slots;
  for (std::int64_t n = static_cast<std::int64_t>(blockIdx.x) * kMassThreads + threadIdx.x; n < rows;
       n += static_cast<std::int64_t>(gridDim.x) * kMassThreads) {
    float sum = 0;
    for (int g = 0; g < group; ++g) {
      const std::int64_t head = static_cast<std::int64_t>(blockIdx.y) * group + g;
      sum += expf(args.scores[head * args.stride + n] - args.lse[head]);
    }
    mass[n] += sum;
  }
}

}  // namespace

void sink_logits(const SinkLogitsArgs& args, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(args.heads.query_heads);
  by_type(args.kv_type, args.heads, [&]<class T, int kDim>() {
    sink_logits_kernel<T, kDim><<<blocks, kRowThreads, 0, stream>>>(args);
  });
  check_launch("sink_logits");
}

void add_mass(const AddMassArgs& args, int blocks, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(args.heads.kv_heads));
  add_mass_kernel<<<grid, kMassThreads, 0, stream>>>(args);
  check_launch("add_mass");
}

}  // namespace hybridgen::cuda
