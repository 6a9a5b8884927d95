#include "runtime/cuda/kernels/device_logits.cuh"

#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/logits_tensor.cuh"
#include "runtime/cuda/kernels/row_workers.cuh"
#include "runtime/cuda/logic/slots.hpp"
#include "runtime/cuda/logic/split.hpp"

namespace hybridgen::cuda {
namespace {

// A block per split and KV head.
template <class T, int kDim, int kHeads>
__global__ void __launch_bounds__(kRowThreads) device_logits_kernel(DeviceLogitsArgs args) {
  using Rows = RowWorkers<T, kDim>;
  const OpParams op = *args.op;
  const RingRange ring = newest_tokens(op.context, op.tokens, args.kv.slots, args.kv.sinks);
  const RowRange range = split_range(op.tokens, args.splits, blockIdx.x, kRowGrain);
  const int group = args.heads.group();
  const int first_head = blockIdx.y * group;
  const std::int64_t head_slots = blockIdx.y * args.kv.slots;
  float q[kHeads][Rows::kElements];
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    if (h < group) Rows::load_query(args.q + (first_head + h) * kDim, args.scale, q[h]);
  }
  for (std::int64_t base = range.begin; base < range.end; base += kRowTile * Rows::kCount) {
    uint4 k[kRowTile];
#pragma unroll
    for (int u = 0; u < kRowTile; ++u) {
      const std::int64_t n = base + u * Rows::kCount + Rows::worker();
      k[u] = load_streaming(Rows::at(args.kv.k, head_slots + ring.slot(n < range.end ? n : range.begin)));
    }
#pragma unroll
    for (int u = 0; u < kRowTile; ++u) {
      const std::int64_t n = base + u * Rows::kCount + Rows::worker();
      float row[Rows::kElements];
      Vector<T>::unpack(k[u], row);
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        if (h >= group) break;
        const float logit = Rows::dot(q[h], row);
        if (Rows::lane() == 0 && n < range.end) args.scores[(first_head + h) * args.stride + n] = logit;
      }
    }
  }
}

}  // namespace

void device_logits(const DeviceLogitsArgs& args, cudaStream_t stream) {
  if (args.kv_type == KvType::f16) return logits_tensor(args, stream);
  const dim3 blocks(static_cast<unsigned>(args.splits), static_cast<unsigned>(args.heads.kv_heads));
  by_type_and_group(args.kv_type, args.heads, [&]<class T, int kDim, int kHeads>() {
    device_logits_kernel<T, kDim, kHeads><<<blocks, kRowThreads, 0, stream>>>(args);
  });
  check_launch("device_logits");
}

}  // namespace hybridgen::cuda
