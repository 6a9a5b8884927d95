// Which rows count, where a stream decides it: a prompt's, pages, and the host's by a few columns of K.
#include "runtime/cuda/gpu_ops.hpp"

#include "runtime/cuda/kernels/keep_rows.cuh"
#include "runtime/cuda/kernels/pages.cuh"
#include "runtime/cuda/kernels/partial_keys.cuh"
#include "runtime/cuda/kernels/prompt_mass.cuh"

namespace hybridgen::cuda {

const KeptStore& GpuOps::kept_of(const Op& op) const {
  return state_.kept(op.slot.index(), op.layer);
}

void GpuOps::score(const Step& step, const Op& op, cudaStream_t stream) const {
  const RequestBuffers& request = slots_.at(op.slot.index());
  prompt_mass({op.work.tokens, op.work.first_token, device_store(op), heads_, kv_type_,
               state_.qkv + place_of(step, op).first_query * state_.qkv_width, state_.qkv_width, scale_,
               state_.prompt_lse, request.prompt_mass, request.size().staging_tokens},
              stream);
}

void GpuOps::keep(const Op& op, cudaStream_t stream) const {
  const RequestBuffers& request = slots_.at(op.slot.index());
  keep_rows(
      {params_of(op), op.work.rule, op.work.keep, request.prompt_mass, request.size().staging_tokens,
       state_.pooled_mass, kept_of(op), device_store(op), segment_store(op), shape_.kv_heads, row_bytes_},
      kCopyBlocks, stream);
}

PageStore GpuOps::pages_of(const Op& op) const {
  const RowStore& bounds = slots_.at(op.slot.index()).page_bounds(op.layer);
  return {bounds.base, bounds.slots, page_tokens_};
}

void GpuOps::choose_pages(const Step& step, const Op& op, cudaStream_t stream) const {
  const RequestBuffers& request = slots_.at(op.slot.index());
  select_pages({params_of(op), pages_of(op), heads_, kv_type_,
                state_.qkv + place_of(step, op).first_query * state_.qkv_width, state_.attend_splits,
                request.page_scores, request.chosen_pages},
               stream);
}

void GpuOps::keep_partial_keys(const Step& step, const Op& op, cudaStream_t stream) const {
  const float* skew = weights_.layers.at(static_cast<std::size_t>(op.layer)).skew;
  partial_keys(
      {params_of(op), op.work.first_token == 0, state_.partial(op.slot.index(), op.layer), device_store(op),
       heads_, kv_type_, state_.qkv + place_of(step, op).first_query * state_.qkv_width, state_.qkv_width,
       skew, state_.column_weights, partial_.pool_tokens, partial_.evict},
      kCopyBlocks, stream);
}

void GpuOps::choose_partial(const Step& step, const Op& op, cudaStream_t stream) const {
  const RequestBuffers& request = slots_.at(op.slot.index());
  const float* predicted =
      state_.predicted[op.work.buffer] + place_of(step, op).first_query * shape_.q_width();
  partial_select({params_of(op), state_.partial(op.slot.index(), op.layer), heads_, kv_type_, predicted,
                  scale_, static_cast<float>(op.work.alpha_milli) / 1000.0F, state_.row_splits,
                  state_.skewed_query, request.device_scores, state_.passing, exchange_of(op).device_rows,
                  request.size().exchange_rows_per_head,
                  state_.counts + state_.count_at(op.slot.index(), op.work.buffer)},
                 stream);
}

}  // namespace hybridgen::cuda
