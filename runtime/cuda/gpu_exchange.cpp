// What goes between the card and the host.
#include "runtime/cuda/gpu_ops.hpp"

#include "runtime/cuda/kernels/copy_rows.cuh"
#include "runtime/cuda/kernels/exchange.cuh"
#include "runtime/cuda/kernels/fetched.cuh"

namespace hybridgen::cuda {

void GpuOps::copy(const Op& op, const KvStore& from, const KvStore& to, cudaStream_t stream) const {
  copy_rows({params_of(op), from, to, shape_.kv_heads, row_bytes_}, kCopyBlocks, stream);
}

void GpuOps::query_down(const Step& step, const Op& op, cudaStream_t stream) const {
  const Tokens query = place_of(step, op).first_query;
  const float* from = op.work.predicted ? state_.predicted[op.work.buffer] + query * shape_.q_width()
                                        : state_.qkv + query * state_.qkv_width;
  send_query(from, static_cast<int>(shape_.q_width()), exchange_of(op).query, stream);
}

void GpuOps::scores_up(const Op& op, cudaStream_t stream) const {
  const Exchange& exchange = exchange_of(op);
  const std::int64_t first = state_.offsets_at(op.slot.index(), op.work.buffer);
  send_scores({state_.host_offsets + first, exchange.chosen_scores, shape_.query_heads,
               state_.offsets + first, exchange.device_chosen_scores},
              kScoreBlocks, stream);
}

// Keys bring the offsets along: no scores come up in front of them.
void GpuOps::rows_up(const Op& op, cudaStream_t stream) const {
  const Exchange& exchange = exchange_of(op);
  const std::int64_t first = state_.offsets_at(op.slot.index(), op.work.buffer);
  const bool keys = op.kind == OpKind::send_keys;
  send_rows({state_.host_offsets + first, shape_.query_heads, exchange.group,
             keys ? state_.offsets + first : nullptr, keys ? exchange.packed_keys : exchange.packed,
             row_bytes_, keys ? exchange.device_packed_keys : exchange.device_packed},
            kCopyBlocks, stream);
}

void GpuOps::partial_up(const Op& op, cudaStream_t stream) const {
  const RequestBuffers& request = slots_.at(op.slot.index());
  const auto floats = static_cast<int>(shape_.q_width() + shape_.query_heads);  // lse lies behind out
  send_partial(request.host_partial.out, floats, request.host_partial_up.out, stream);
}

void GpuOps::choice_down(const Op& op, cudaStream_t stream) const {
  const std::int64_t at = state_.count_at(op.slot.index(), op.work.buffer);
  const Exchange& exchange = exchange_of(op);
  send_choice(
      {state_.counts + at, exchange.device_rows, slots_.at(op.slot.index()).size().exchange_rows_per_head,
       shape_.query_heads, state_.host_counts + at, exchange.rows},
      kScoreBlocks, stream);
}

const Exchange& GpuOps::exchange_of(const Op& op) const {
  return slots_.at(op.slot.index()).exchange(op.work.buffer);
}

PackedOffsets GpuOps::packed_of(const Op& op) const {
  return {state_.offsets + state_.offsets_at(op.slot.index(), op.work.buffer), exchange_of(op).group};
}

}  // namespace hybridgen::cuda
