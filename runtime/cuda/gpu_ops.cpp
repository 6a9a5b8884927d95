#include "runtime/cuda/gpu_ops.hpp"

#include <cmath>

#include "core/base/check.hpp"
#include "core/machine/tiles.hpp"
#include "runtime/cuda/kernels/evict_row.cuh"
#include "runtime/cuda/kernels/fetched.cuh"
#include "runtime/cuda/kernels/lookahead.cuh"
#include "runtime/cuda/kernels/pages.cuh"
#include "runtime/host/kv_type_of.hpp"

namespace hybridgen::cuda {
namespace {

Tokens query_tokens(const Step& step) {
  Tokens sum = 0;
  for (const BatchRow& row : step.batch) sum += row.query_tokens;
  return sum;
}

}  // namespace

GpuOps::GpuOps(const ModelShape& shape, const ModelWeights& weights, const MemoryPlan& plan,
               DeviceState& state, std::vector<RequestBuffers>& slots)
    : shape_(shape),
      weights_(weights),
      state_(state),
      slots_(slots),
      heads_{shape.query_heads, shape.kv_heads, shape.head_dim},
      kv_type_(kv_type_of(plan.kv_dtype)),
      row_bytes_(static_cast<int>(head_row_bytes(shape, plan.kv_dtype))),
      lookahead_(plan.lookahead),
      partial_(plan.partial),
      page_tokens_(plan.page_tokens),
      scale_(1.0F / std::sqrt(static_cast<float>(shape.head_dim))) {}

void GpuOps::enqueue(const Step& step, const Op& op, cudaStream_t stream) const {
  switch (op.kind) {
    case OpKind::embed:
      return embed_rows(query_tokens(step), stream);
    case OpKind::norm_qkv:
      return norm_qkv(op, query_tokens(step), stream);
    case OpKind::project_out:
      return project_out(op, query_tokens(step), stream);
    case OpKind::ffn:
      return ffn(op, query_tokens(step), stream);
    case OpKind::lm_head:
      return lm_head(step, stream);
    case OpKind::sample:
      return sample(step, op, stream);
    case OpKind::attend:
    case OpKind::device_partial:
      return attend_rows(step, op, stream);
    case OpKind::prefill_attend:
      return prefill(step, op, stream);
    case OpKind::device_logits:
      return logits(step, op, stream);
    case OpKind::joint_attend:
      return joint(step, op, stream);
    case OpKind::load_kv:
      return copy(op, host_store(op), device_store(op), stream);
    case OpKind::offload_kv:
      return copy(op, device_store(op), host_store(op), stream);
    case OpKind::keep_kv:
      return copy(op, device_store(op), segment_store(op), stream);
    case OpKind::send_query:
      return query_down(step, op, stream);
    case OpKind::send_scores:
      return scores_up(op, stream);
    case OpKind::send_rows:
    case OpKind::send_keys:
      return rows_up(op, stream);
    case OpKind::predict_query:
      return predict(op, query_tokens(step), stream);
    case OpKind::row_logits:
      return logits_of_packed(step, op, stream);
    case OpKind::fit_logits:
      return fit(step, op, stream);
    case OpKind::correct_scores:
      return correct_scores(
          {packed_of(op), heads_, slope_of(op), shift_of(op), exchange_of(op).device_chosen_scores}, stream);
    case OpKind::send_partial:
      return partial_up(op, stream);
    case OpKind::join_partials:
      return join(step, op, stream);
    case OpKind::score_prompt:
      return score(step, op, stream);
    case OpKind::keep_rows:
      return keep(op, stream);
    case OpKind::evict_row:
      return evict_row({params_of(op), op.work.rule, op.work.keep, kept_of(op), shape_.kv_heads}, stream);
    case OpKind::attend_kept:
      return attend_to_kept(step, op, stream);
    case OpKind::page_bounds:
      return page_bounds({params_of(op), device_store(op), pages_of(op), heads_, kv_type_}, kCopyBlocks,
                         stream);
    case OpKind::select_pages:
      return choose_pages(step, op, stream);
    case OpKind::attend_pages:
      return attend_to_pages(step, op, stream);
    case OpKind::partial_keys:
      return keep_partial_keys(step, op, stream);
    case OpKind::partial_select:
      return choose_partial(step, op, stream);
    case OpKind::send_choice:
      return choice_down(op, stream);
    case OpKind::pool_row:
      return pool_row({params_of(op), device_store(op), host_store(op),
                       state_.partial(op.slot.index(), op.layer).pool.newest, shape_.kv_heads, row_bytes_},
                      stream);
    case OpKind::attend_fetched:
      return attend_to_fetched(step, op, stream);
    case OpKind::host_logits:
    case OpKind::select:
    case OpKind::pack_rows:
    case OpKind::host_attend:
    case OpKind::pack_keys:
      break;
  }
  HG_CHECK(false, "op " << op.id.value << " (" << name_of(op.kind) << ") is none of a stream's");
}

GpuOps::RowPlace GpuOps::place_of(const Step& step, const Op& op) const {
  RowPlace place;
  for (const BatchRow& row : step.batch) {
    place.query_tokens = row.query_tokens;
    if (row.request == op.request) return place;
    place.first_query += row.query_tokens;
    ++place.row;
  }
  HG_CHECK(false, "op " << op.id.value << ": request " << op.request.value << " is not in the batch");
  return place;
}

KvStore GpuOps::device_store(const Op& op) const {
  const RequestBuffers& request = slots_.at(op.slot.index());
  const RowStore& k = request.device_k(op.work.kv, op.layer, op.work.buffer);
  return {k.base, request.device_v(op.work.kv, op.layer, op.work.buffer).base, k.slots, k.sinks};
}

KvStore GpuOps::segment_store(const Op& op) const {
  const RequestBuffers& request = slots_.at(op.slot.index());
  const RowStore& k = request.device_k(KvPlace::segment, op.layer, 0);
  return {k.base, request.device_v(KvPlace::segment, op.layer, 0).base, k.slots, k.sinks};
}

KvStore GpuOps::host_store(const Op& op) const {
  const RequestBuffers& request = slots_.at(op.slot.index());
  const RowStore& k = request.host_k(op.layer);
  // The first tokens never come down.
  return {k.base, request.host_v(op.layer).base, k.slots, k.sinks, request.size().sink_tokens};
}

}  // namespace hybridgen::cuda
