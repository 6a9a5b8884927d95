// Attention on a stream: over the device's rows, over kept, paged and fetched ones, and joined with the
// host's.
#include "runtime/cuda/gpu_ops.hpp"

#include "runtime/cuda/kernels/attend.cuh"
#include "runtime/cuda/kernels/device_logits.cuh"
#include "runtime/cuda/kernels/fetched.cuh"
#include "runtime/cuda/kernels/join_partials.cuh"
#include "runtime/cuda/kernels/joint_attend.cuh"
#include "runtime/cuda/kernels/kept_rows.cuh"
#include "runtime/cuda/kernels/lookahead.cuh"
#include "runtime/cuda/kernels/pages.cuh"
#include "runtime/cuda/kernels/prefill_attend.cuh"

namespace hybridgen::cuda {

void GpuOps::attend_rows(const Step& step, const Op& op, cudaStream_t stream) const {
  const Tokens query = place_of(step, op).first_query;
  attend({params_of(op), device_store(op), heads_, kv_type_, state_.qkv + query * state_.qkv_width, scale_,
          state_.space, state_.attend_splits, state_.attended + query * shape_.q_width(),
          op.kind == OpKind::device_partial ? lse_of(op) : nullptr},
         stream);
}

void GpuOps::prefill(const Step& step, const Op& op, cudaStream_t stream) const {
  const RowPlace place = place_of(step, op);
  prefill_attend(
      {params_of(op), device_store(op), heads_, kv_type_, state_.qkv + place.first_query * state_.qkv_width,
       state_.qkv_width, scale_, state_.attended + place.first_query * shape_.q_width()},
      place.query_tokens, stream);
}

void GpuOps::logits(const Step& step, const Op& op, cudaStream_t stream) const {
  device_logits({params_of(op), device_store(op), heads_, kv_type_,
                 state_.qkv + place_of(step, op).first_query * state_.qkv_width, scale_, state_.attend_splits,
                 slots_[op.slot.index()].device_scores, slots_[op.slot.index()].size().segment_tokens},
                stream);
}

void GpuOps::joint(const Step& step, const Op& op, cudaStream_t stream) const {
  const RequestBuffers& request = slots_.at(op.slot.index());
  const Exchange& exchange = exchange_of(op);
  joint_attend({params_of(op), device_store(op), heads_, kv_type_, request.device_scores,
                request.size().segment_tokens, packed_of(op), exchange.device_chosen_scores,
                exchange.device_packed, state_.space, state_.joint_splits.all(), state_.joint_splits.packed,
                state_.attended + place_of(step, op).first_query * shape_.q_width()},
               stream);
}

void GpuOps::join(const Step& step, const Op& op, cudaStream_t stream) const {
  const Partial& other = slots_.at(op.slot.index()).host_partial_up;
  join_partials({heads_, state_.attended + place_of(step, op).first_query * shape_.q_width(), lse_of(op),
                 other.out, other.lse},
                stream);
}

// Logits of both queries over the device's rows, then the line between them.
void GpuOps::fit(const Step& step, const Op& op, cudaStream_t stream) const {
  logits(step, op, stream);
  const RequestBuffers& request = slots_.at(op.slot.index());
  const std::int64_t stride = request.size().segment_tokens;
  const float* predicted =
      state_.predicted[op.work.buffer] + place_of(step, op).first_query * shape_.q_width();
  device_logits({params_of(op), device_store(op), heads_, kv_type_, predicted, scale_, state_.attend_splits,
                 request.device_predicted_scores, stride},
                stream);
  fit_logits({params_of(op), heads_, request.size().sink_tokens, request.device_predicted_scores,
              request.device_scores, stride, slope_of(op), shift_of(op)},
             stream);
}

void GpuOps::logits_of_packed(const Step& step, const Op& op, cudaStream_t stream) const {
  const Exchange& exchange = exchange_of(op);
  row_logits({packed_of(op), heads_, kv_type_, state_.qkv + place_of(step, op).first_query * state_.qkv_width,
              exchange.device_packed_keys, scale_, state_.row_splits, exchange.device_chosen_scores},
             stream);
}

// Logits, those of sinks once more where they see the query elsewhere, one softmax; and the weights again
// where the rule remembers them.
void GpuOps::attend_to_kept(const Step& step, const Op& op, cudaStream_t stream) const {
  const Tokens query = place_of(step, op).first_query;
  const float* q = state_.qkv + query * state_.qkv_width;
  const KvStore kv = device_store(op);
  float* scores = state_.kept_scores;
  device_logits({params_of(op), kv, heads_, kv_type_, q, scale_, state_.attend_splits, scores, kv.slots},
                stream);
  if (op.work.keep.reindex) {
    sink_logits({params_of(op), op.work.keep.sinks, kv, heads_, kv_type_, q, state_.frequencies, scale_,
                 scores, kv.slots},
                stream);
  }
  joint_attend({params_of(op),
                kv,
                heads_,
                kv_type_,
                scores,
                kv.slots,
                {state_.no_rows},
                nullptr,
                nullptr,
                state_.space,
                state_.joint_splits.all(),
                state_.joint_splits.packed,
                state_.attended + query * shape_.q_width(),
                lse_of(op)},
               stream);
  if (op.work.rule != SelectRule::heavy_hitter) return;
  add_mass({params_of(op), heads_, scores, kv.slots, lse_of(op), kept_of(op)}, kScoreBlocks, stream);
}

void GpuOps::attend_to_pages(const Step& step, const Op& op, cudaStream_t stream) const {
  const Tokens query = place_of(step, op).first_query;
  attend_pages({params_of(op), device_store(op), pages_of(op), heads_, kv_type_,
                state_.qkv + query * state_.qkv_width, scale_, slots_.at(op.slot.index()).chosen_pages,
                state_.space, state_.row_splits, state_.attended + query * shape_.q_width()},
               stream);
}

void GpuOps::attend_to_fetched(const Step& step, const Op& op, cudaStream_t stream) const {
  const Exchange& exchange = exchange_of(op);
  const Tokens query = place_of(step, op).first_query;
  attend_fetched({params_of(op), state_.counts + state_.count_at(op.slot.index(), op.work.buffer),
                  exchange.device_packed_keys, exchange.device_packed, device_store(op), heads_, kv_type_,
                  state_.qkv + query * state_.qkv_width, scale_, state_.space, state_.row_splits,
                  state_.attended + query * shape_.q_width()},
                 stream);
}

}  // namespace hybridgen::cuda
