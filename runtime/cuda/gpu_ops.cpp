#include "runtime/cuda/gpu_ops.hpp"

#include <cmath>

#include "core/base/check.hpp"
#include "core/machine/tiles.hpp"
#include "runtime/cuda/kernels/activate.cuh"
#include "runtime/cuda/kernels/argmax.cuh"
#include "runtime/cuda/kernels/attend.cuh"
#include "runtime/cuda/kernels/copy_rows.cuh"
#include "runtime/cuda/kernels/device_logits.cuh"
#include "runtime/cuda/kernels/embed.cuh"
#include "runtime/cuda/kernels/evict_row.cuh"
#include "runtime/cuda/kernels/exchange.cuh"
#include "runtime/cuda/kernels/fetched.cuh"
#include "runtime/cuda/kernels/gemm.cuh"
#include "runtime/cuda/kernels/gemv.cuh"
#include "runtime/cuda/kernels/join_partials.cuh"
#include "runtime/cuda/kernels/joint_attend.cuh"
#include "runtime/cuda/kernels/keep_rows.cuh"
#include "runtime/cuda/kernels/kept_rows.cuh"
#include "runtime/cuda/kernels/lookahead.cuh"
#include "runtime/cuda/kernels/norm.cuh"
#include "runtime/cuda/kernels/pages.cuh"
#include "runtime/cuda/kernels/partial_keys.cuh"
#include "runtime/cuda/kernels/prefill_attend.cuh"
#include "runtime/cuda/kernels/prompt_mass.cuh"
#include "runtime/cuda/kernels/rope_store.cuh"
#include "runtime/host/kv_type_of.hpp"

namespace hybridgen::cuda {
namespace {

// Blocks of a transfer: loads enough under way for the link's latency, while most of the card computes on.
constexpr int kCopyBlocks = 32;
constexpr int kScoreBlocks = 8;

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
      row_bytes_(static_cast<int>(shape.head_dim * bytes_of(plan.kv_dtype))),
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

void GpuOps::embed_rows(Tokens tokens, cudaStream_t stream) const {
  const bool rotary = shape_.blocks.position == PositionKind::rotary;
  embed({state_.params.step, state_.params.rows, state_.tokens, state_.token_stride, weights_.embedding,
         shape_.hidden, shape_.head_dim, rotary ? state_.frequencies : nullptr, weights_.positions,
         shape_.blocks.position_offset, state_.hidden, state_.cosine, state_.sine},
        tokens, stream);
}

// A tile of query tokens, or the last one of every row.
void GpuOps::norm(const NormWeights& weights, Tokens first, const RowParams* last_of_rows, Tokens tokens,
                  cudaStream_t stream) const {
  cuda::norm({state_.hidden + first * shape_.hidden, weights.weight, weights.bias, state_.normed,
              shape_.hidden, static_cast<float>(shape_.norm_eps), last_of_rows},
             tokens, stream);
}

void GpuOps::multiply(const MatrixArgs& args, Tokens tokens, cudaStream_t stream) const {
  if (tokens <= kMostGemvTokens) {
    gemv(args, static_cast<int>(tokens), stream);
  } else {
    gemm(args, tokens, stream);
  }
}

void GpuOps::norm_qkv(const Op& op, Tokens tokens, cudaStream_t stream) const {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(op.layer));
  for_each_tile(tokens, [&](Tokens first, Tokens count) {
    norm(layer.attention_norm, first, nullptr, count, stream);
    multiply(
        {layer.qkv.matrix, static_cast<int>(state_.qkv_width), shape_.hidden, state_.normed, shape_.hidden,
         state_.qkv + first * state_.qkv_width, state_.qkv_width, nullptr, layer.qkv.bias},
        count, stream);
  });
  const bool rotary = shape_.blocks.position == PositionKind::rotary;
  const bool kept = op.work.kv == KvPlace::kept;
  rope_store(
      {state_.params.step, state_.params.rows, state_.stores(op.work.kv, op.layer, op.work.buffer), heads_,
       kv_type_, state_.qkv, rotary ? state_.cosine : nullptr, state_.sine, layer.q_norm, layer.k_norm,
       static_cast<float>(shape_.norm_eps), kept ? state_.next_of(op.layer, shape_.kv_heads) : nullptr},
      tokens, stream);
}

void GpuOps::project_out(const Op& op, Tokens tokens, cudaStream_t stream) const {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(op.layer));
  for_each_tile(tokens, [&](Tokens first, Tokens count) {
    float* hidden = state_.hidden + first * shape_.hidden;
    multiply({layer.attention_out.matrix, shape_.hidden, static_cast<int>(shape_.q_width()),
              state_.attended + first * shape_.q_width(), shape_.q_width(), hidden, shape_.hidden, hidden,
              layer.attention_out.bias},
             count, stream);
  });
}

void GpuOps::ffn(const Op& op, Tokens tokens, cudaStream_t stream) const {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(op.layer));
  const std::int64_t width = shape_.ffn_in_width();
  for_each_tile(tokens, [&](Tokens first, Tokens count) {
    float* hidden = state_.hidden + first * shape_.hidden;
    norm(layer.ffn_norm, first, nullptr, count, stream);
    multiply({layer.ffn_in.matrix, static_cast<int>(width), shape_.hidden, state_.normed, shape_.hidden,
              state_.ffn_in, width, nullptr, layer.ffn_in.bias},
             count, stream);
    if (shape_.blocks.ffn == FfnKind::swiglu) {
      swiglu(state_.ffn_in, shape_.ffn, count, stream);
    } else {
      relu(state_.ffn_in, shape_.ffn, count, stream);
    }
    multiply({layer.down.matrix, shape_.hidden, shape_.ffn, state_.ffn_in, width, hidden, shape_.hidden,
              hidden, layer.down.bias},
             count, stream);
  });
}

void GpuOps::lm_head(const Step& step, cudaStream_t stream) const {
  const auto rows = static_cast<Tokens>(step.batch.size());
  norm(weights_.final_norm, 0, state_.params.rows, rows, stream);
  multiply({weights_.output, shape_.vocab, shape_.hidden, state_.normed, shape_.hidden, state_.logits,
            shape_.vocab, nullptr, nullptr},
           rows, stream);
}

void GpuOps::sample(const Step& step, const Op& op, cudaStream_t stream) const {
  const RowPlace place = place_of(step, op);
  const auto request = static_cast<std::int64_t>(op.request.index());
  const float* logits = state_.logits + static_cast<std::int64_t>(place.row) * shape_.vocab;
  const std::int32_t* forced = state_.forced ? state_.forced + request * state_.forced_stride : nullptr;
  argmax({params_of(op), logits, shape_.vocab, forced, state_.tokens + request * state_.token_stride,
          state_.sampled + request},
         stream);
  if (state_.host_logits == nullptr) return;
  check(
      cudaMemcpyAsync(state_.host_logits + request * shape_.vocab, logits,
                      static_cast<std::size_t>(shape_.vocab) * sizeof(float), cudaMemcpyDeviceToHost, stream),
      "logits to the host");
}

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
                exchange.device_packed, state_.space, state_.joint_splits,
                state_.attended + place_of(step, op).first_query * shape_.q_width()},
               stream);
}

void GpuOps::partial_up(const Op& op, cudaStream_t stream) const {
  const RequestBuffers& request = slots_.at(op.slot.index());
  const auto floats = static_cast<int>(shape_.q_width() + shape_.query_heads);  // lse lies behind out
  send_partial(request.host_partial.out, floats, request.host_partial_up.out, stream);
}

void GpuOps::join(const Step& step, const Op& op, cudaStream_t stream) const {
  const Partial& other = slots_.at(op.slot.index()).host_partial_up;
  join_partials({heads_, state_.attended + place_of(step, op).first_query * shape_.q_width(), lse_of(op),
                 other.out, other.lse},
                stream);
}

KeptStore GpuOps::kept_of(const Op& op) const {
  return state_.kept(op.slot.index(), op.layer, shape_.layers, shape_.kv_heads);
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
  const RowStore& k = request.device_k(KvPlace::kept, op.layer, 0);
  const RowStore& v = request.device_v(KvPlace::kept, op.layer, 0);
  const RowStore& from_k = request.device_k(KvPlace::staging, op.layer, op.work.buffer);
  const RowStore& from_v = request.device_v(KvPlace::staging, op.layer, op.work.buffer);
  keep_rows({params_of(op),
             op.work.rule,
             op.work.keep,
             request.prompt_mass,
             request.size().staging_tokens,
             state_.pooled_mass,
             kept_of(op),
             {from_k.base, from_v.base, from_k.slots},
             {k.base, v.base, k.slots},
             shape_.kv_heads,
             row_bytes_},
            kCopyBlocks, stream);
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
                state_.joint_splits,
                state_.attended + query * shape_.q_width(),
                lse_of(op)},
               stream);
  if (op.work.rule != SelectRule::heavy_hitter) return;
  add_mass({params_of(op), heads_, scores, kv.slots, lse_of(op), kept_of(op)}, kScoreBlocks, stream);
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

void GpuOps::attend_to_pages(const Step& step, const Op& op, cudaStream_t stream) const {
  const Tokens query = place_of(step, op).first_query;
  attend_pages({params_of(op), device_store(op), pages_of(op), heads_, kv_type_,
                state_.qkv + query * state_.qkv_width, scale_, slots_.at(op.slot.index()).chosen_pages,
                state_.space, state_.joint_splits, state_.attended + query * shape_.q_width()},
               stream);
}

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

const Exchange& GpuOps::exchange_of(const Op& op) const {
  return slots_.at(op.slot.index()).exchange(op.work.buffer);
}

PackedOffsets GpuOps::packed_of(const Op& op) const {
  return {state_.offsets + state_.offsets_at(op.slot.index(), op.work.buffer), exchange_of(op).group};
}

// The hidden states are still the input of the layer before the op's.
void GpuOps::predict(const Op& op, Tokens tokens, cudaStream_t stream) const {
  HG_CHECK(tokens <= static_cast<Tokens>(slots_.size()),
           "op " << op.id.value << ": a prompt predicts nothing");
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(op.layer));
  const auto normed_by = static_cast<std::size_t>(op.layer - (lookahead_.own_norm ? 1 : 0));
  const auto width = static_cast<int>(shape_.q_width());
  float* predicted = state_.predicted[op.work.buffer];
  norm(weights_.layers.at(normed_by).attention_norm, 0, nullptr, tokens, stream);
  // q's rows are the first.
  multiply({layer.qkv.matrix, width, shape_.hidden, state_.normed, shape_.hidden, predicted, width, nullptr,
            layer.qkv.bias},
           tokens, stream);
  if (lookahead_.fitted) {
    const auto rank = static_cast<int>(shape_.predictor.rank);
    HG_CHECK(layer.predictor.down != nullptr, "layer " << op.layer << " has no fitted predictor");
    multiply({layer.predictor.down, rank, shape_.hidden, state_.normed, shape_.hidden, state_.low_rank, rank},
             tokens, stream);
    multiply({layer.predictor.up, width, rank, state_.low_rank, rank, predicted, width, predicted}, tokens,
             stream);
  }
  const bool rotary = shape_.blocks.position == PositionKind::rotary;
  rope_store({state_.params.step,
              state_.params.rows,
              nullptr,
              {shape_.query_heads, 0, shape_.head_dim},
              kv_type_,
              predicted,
              rotary ? state_.cosine : nullptr,
              state_.sine,
              layer.q_norm,
              layer.k_norm,
              static_cast<float>(shape_.norm_eps)},
             tokens, stream);
}

void GpuOps::logits_of_packed(const Step& step, const Op& op, cudaStream_t stream) const {
  const Exchange& exchange = exchange_of(op);
  row_logits({packed_of(op), heads_, kv_type_, state_.qkv + place_of(step, op).first_query * state_.qkv_width,
              exchange.device_packed_keys, scale_, state_.joint_splits, exchange.device_chosen_scores},
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
                  scale_, static_cast<float>(op.work.alpha_milli) / 1000.0F, state_.joint_splits,
                  state_.skewed_query, request.device_scores, state_.passing, exchange_of(op).device_rows,
                  request.size().exchange_rows_per_head,
                  state_.counts + state_.count_at(op.slot.index(), op.work.buffer)},
                 stream);
}

void GpuOps::choice_down(const Op& op, cudaStream_t stream) const {
  const std::int64_t at = state_.count_at(op.slot.index(), op.work.buffer);
  const Exchange& exchange = exchange_of(op);
  send_choice(
      {state_.counts + at, exchange.device_rows, slots_.at(op.slot.index()).size().exchange_rows_per_head,
       shape_.query_heads, state_.host_counts + at, exchange.rows},
      kScoreBlocks, stream);
}

void GpuOps::attend_to_fetched(const Step& step, const Op& op, cudaStream_t stream) const {
  const Exchange& exchange = exchange_of(op);
  const Tokens query = place_of(step, op).first_query;
  attend_fetched({params_of(op), state_.counts + state_.count_at(op.slot.index(), op.work.buffer),
                  exchange.device_packed_keys, exchange.device_packed, device_store(op), heads_, kv_type_,
                  state_.qkv + query * state_.qkv_width, scale_, state_.space, state_.joint_splits,
                  state_.attended + query * shape_.q_width()},
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

}  // namespace hybridgen::cuda
