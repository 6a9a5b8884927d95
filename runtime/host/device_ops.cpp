// What the device computes: the transformer's layers over its own memory.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/base/check.hpp"
#include "runtime/host/op_runner.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/gemv.hpp"
#include "runtime/kernels/prefill.hpp"
#include "runtime/kernels/rope.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kGemvGrain = 16;  // weight rows: no cache line of the result is shared by two threads
constexpr Tokens kMostGemvTokens = 16;   // beyond, a GEMM's conversion of the weights pays

// A few tokens, each as it would be alone: a block of weight rows is read from memory once and stays in the
// cache for the others, so a batch gives the same numbers as its requests one by one.
void gemv_each(const kernels::Half* weights, const float* x, std::int64_t x_stride, Tokens tokens,
               std::int64_t begin, std::int64_t end, std::int64_t cols, float* out, std::int64_t out_stride) {
  for (std::int64_t row = begin; row < end; row += kGemvGrain) {
    const std::int64_t stop = std::min(row + kGemvGrain, end);
    for (Tokens t = 0; t < tokens; ++t) {
      kernels::gemv_f16(weights, x + t * x_stride, out + t * out_stride, row, stop, cols);
    }
  }
}

}  // namespace

void OpRunner::embed(const OpContext& context) {
  Tokens query = 0;
  for (const BatchRow& row : context.step.batch) {
    const auto& tokens = tokens_.at(row.request.index());
    for (Tokens i = 0; i < row.query_tokens; ++i, ++query) {
      const Tokens position = row.first_position + i;
      const std::int32_t token = tokens.at(static_cast<std::size_t>(position));
      kernels::embed_row(weights_.embedding, token, shape_.hidden,
                         act_.hidden.data() + query * shape_.hidden);
      context.bytes.access(plan_.device_tier, shape_.hidden * static_cast<Bytes>(sizeof(kernels::Half)));
      add_position(context, query, position);
    }
  }
}

// A learned position joins the embedding now; a rotary one gets its angles, for every layer to turn by.
void OpRunner::add_position(const OpContext& context, Tokens query, Tokens position) {
  if (shape_.blocks.position == PositionKind::rotary) {
    const std::int64_t at = query * (shape_.head_dim / 2);
    kernels::rope_angles(position, frequencies_, act_.cosine.data() + at, act_.sine.data() + at);
    return;
  }
  const Tokens row = position + shape_.blocks.position_offset;
  HG_CHECK(row < shape_.position_rows(),
           "op " << context.op.id.value << ": position " << position << " of at most " << shape_.max_context);
  float* hidden = act_.hidden.data() + query * shape_.hidden;
  float* scratch = act_.normed.data() + query * shape_.hidden;
  kernels::embed_row(weights_.positions, row, shape_.hidden, scratch);
  kernels::add(hidden, scratch, hidden, shape_.hidden);
  context.bytes.access(plan_.device_tier, shape_.hidden * static_cast<Bytes>(sizeof(kernels::Half)));
}

void OpRunner::norm_row(const NormWeights& weights, const float* x, float* out) const {
  const auto eps = static_cast<float>(shape_.norm_eps);
  if (shape_.blocks.norm == NormKind::rms) {
    kernels::rms_norm(x, weights.weight, out, shape_.hidden, eps);
  } else {
    kernels::layer_norm(x, weights.weight, weights.bias, out, shape_.hidden, eps);
  }
}

void OpRunner::norm(const OpContext& context, const NormWeights& weights) {
  const Tokens tokens = query_tokens(context.step);
  context.team.parallel(tokens, 1, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      norm_row(weights, act_.hidden.data() + t * shape_.hidden, act_.normed.data() + t * shape_.hidden);
    }
  });
}

void OpRunner::project(const OpContext& context, const ProductWeights& weights, std::int64_t rows,
                       std::int64_t cols, const float* x, std::int64_t x_stride, Tokens tokens, float* out,
                       std::int64_t out_stride) {
  const bool few = tokens <= kMostGemvTokens;
  const std::int64_t grain = few ? kGemvGrain : kernels::kGemmRows;
  context.team.parallel(rows, grain, [&](int thread, std::int64_t begin, std::int64_t end) {
    if (few) {
      gemv_each(weights.matrix, x, x_stride, tokens, begin, end, cols, out, out_stride);
    } else {
      kernels::gemm_f16(weights.matrix, x, x_stride, tokens, begin, end, cols, out, out_stride,
                        act_.scratch[static_cast<std::size_t>(thread)].data());
    }
    for (Tokens t = 0; weights.bias != nullptr && t < tokens; ++t) {
      float* y = out + t * out_stride + begin;
      kernels::add(y, weights.bias + begin, y, end - begin);
    }
  });
  context.bytes.access(plan_.device_tier, rows * cols * static_cast<Bytes>(sizeof(kernels::Half)));
  if (weights.bias != nullptr) {
    context.bytes.access(plan_.device_tier, rows * static_cast<Bytes>(sizeof(float)));
  }
}

void OpRunner::norm_qkv(const OpContext& context) {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(context.op.layer));
  const Tokens tokens = query_tokens(context.step);
  norm(context, layer.attention_norm);
  project(context, layer.qkv, act_.qkv_width, shape_.hidden, act_.normed.data(), shape_.hidden, tokens,
          act_.qkv.data(), act_.qkv_width);
  Tokens query = 0;
  for (const BatchRow& row : context.step.batch) {
    context.team.parallel(row.query_tokens, 1, [&](int, std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        store_new_rows(context, slots_.at(row.slot.index()), query + i, row.first_position + i);
      }
    });
    context.bytes.access(plan_.device_tier, row.query_tokens * 2 * shape_.kv_heads * head_row_);
    query += row.query_tokens;
  }
  if (feed_.on_queries) feed_.on_queries(context.op.layer, act_.qkv.data(), act_.qkv_width, tokens);
}

// act_.hidden is still the input of the layer before the op's, and act_.normed what that layer's norm made of
// it.
void OpRunner::predict_query(const OpContext& context) {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(context.op.layer));
  const Tokens tokens = query_tokens(context.step);
  const std::int64_t width = shape_.q_width();
  if (!plan_.partial.own_norm) norm(context, layer.attention_norm);
  project(context, layer.qkv, width, shape_.hidden, act_.normed.data(), shape_.hidden, tokens,
          act_.predicted.data(), width);  // q's rows are the first
  for (Tokens query = 0; query < tokens; ++query) {
    finish_heads(act_.predicted.data() + query * width, shape_.query_heads, layer.q_norm, query);
  }
}

// Each head of q or k of one token, as attention uses it: normed where the model does, turned to its
// position.
void OpRunner::finish_heads(float* x, int heads, const float* norm, Tokens query) const {
  for (int head = 0; norm != nullptr && head < heads; ++head) {
    float* at = x + static_cast<std::int64_t>(head) * shape_.head_dim;
    kernels::rms_norm(at, norm, at, shape_.head_dim, static_cast<float>(shape_.norm_eps));
  }
  if (shape_.blocks.position != PositionKind::rotary) return;
  const std::int64_t angles = query * (shape_.head_dim / 2);
  kernels::rope(x, heads, shape_.head_dim, act_.cosine.data() + angles, act_.sine.data() + angles);
}

// Finishes q and k of one token and writes k and v where the op says.
void OpRunner::store_new_rows(const OpContext& context, const RequestBuffers& kv, Tokens query,
                              Tokens position) {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(context.op.layer));
  float* q = act_.qkv.data() + query * act_.qkv_width;
  float* k = q + shape_.q_width();
  const float* v = k + shape_.kv_width();
  finish_heads(q, shape_.query_heads, layer.q_norm, query);
  finish_heads(k, shape_.kv_heads, layer.k_norm, query);
  const Work& work = context.op.work;
  const RowStore& k_store = kv.device_k(work.kv, context.op.layer, work.buffer);
  const RowStore& v_store = kv.device_v(work.kv, context.op.layer, work.buffer);
  const Tokens slot = position % k_store.slots;
  for (int head = 0; head < shape_.kv_heads; ++head) {
    const std::int64_t offset = head * shape_.head_dim;
    kernels::store_rows(kv_type_, k + offset, k_store.head(head, head_row_) + slot * head_row_,
                        shape_.head_dim);
    kernels::store_rows(kv_type_, v + offset, v_store.head(head, head_row_) + slot * head_row_,
                        shape_.head_dim);
  }
}

// The newest `tokens` tokens of the op's request on the device, as spans in token order. Returns how many
// spans.
int OpRunner::spans_of(const OpContext& context, int kv_head, kernels::KvSpan (&spans)[2]) const {
  const Work& work = context.op.work;
  const RowPlace place = place_of(context);
  const Tokens context_tokens = place.first_position + place.query_tokens;
  const RowStore& k = buffers(context).device_k(work.kv, context.op.layer, work.buffer);
  const RowStore& v = buffers(context).device_v(work.kv, context.op.layer, work.buffer);
  int count = 0;
  for (const SlotRun& run : ring_runs(context_tokens - work.tokens, work.tokens, k.slots)) {
    if (run.count == 0) continue;
    spans[count++] = {k.head(kv_head, head_row_) + run.slot * head_row_,
                      v.head(kv_head, head_row_) + run.slot * head_row_, run.count};
  }
  return count;
}

void OpRunner::attend(const OpContext& context) {
  const RowPlace place = place_of(context);
  const int group = shape_.group();
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  const std::int64_t group_width = static_cast<std::int64_t>(group) * shape_.head_dim;
  float* all_lse = context.op.kind == OpKind::device_partial ? buffers(context).device_lse.data() : nullptr;
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    float* scratch = act_.scratch[static_cast<std::size_t>(thread)].data();
    for (std::int64_t head = begin; head < end; ++head) {
      kernels::KvSpan spans[2];
      const int span_count = spans_of(context, static_cast<int>(head), spans);
      walked += spans[0].count + spans[1].count;
      const float* q = act_.qkv.data() + place.first_query * act_.qkv_width + head * group_width;
      float* out = act_.attended.data() + place.first_query * shape_.q_width() + head * group_width;
      if (place.query_tokens == 1) {
        kernels::attend(kv_type_, q, group, shape_.head_dim, spans, span_count, scale_, scratch, out,
                        all_lse == nullptr ? nullptr : all_lse + head * group);
      } else {
        kernels::prefill(kv_type_, q, act_.qkv_width, place.query_tokens, place.first_position, group,
                         shape_.head_dim, spans, span_count, scale_, scratch, out, shape_.q_width());
      }
    }
  });
  context.bytes.access(plan_.device_tier, 2 * walked * head_row_);  // K and V
}

void OpRunner::device_logits(const OpContext& context) {
  const RowPlace place = place_of(context);
  RequestBuffers& request = buffers(context);
  const int group = shape_.group();
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  context.team.parallel(shape_.kv_heads, 1, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin; head < end; ++head) {
      kernels::KvSpan spans[2];
      const int span_count = spans_of(context, static_cast<int>(head), spans);
      walked += spans[0].count + spans[1].count;
      const float* q = act_.qkv.data() + place.first_query * act_.qkv_width + head * group * shape_.head_dim;
      float* scores = request.device_scores + head * group * request.size().segment_tokens;
      for (int i = 0; i < span_count; ++i) {
        kernels::logits(kv_type_, q, group, shape_.head_dim, spans[i].k, spans[i].count, scale_, scores,
                        request.size().segment_tokens);
        scores += spans[i].count;
      }
    }
  });
  context.bytes.access(plan_.device_tier, walked * head_row_);
}

void OpRunner::joint_attend(const OpContext& context) {
  const RowPlace place = place_of(context);
  RequestBuffers& request = buffers(context);
  const int group = shape_.group();
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  std::vector<kernels::HostRows> rows(static_cast<std::size_t>(shape_.query_heads));
  std::int64_t before = 0;
  for (std::size_t head = 0; head < rows.size(); ++head) {
    rows[head] = {request.device_chosen_scores + before, request.device_packed + before * head_row_,
                  request.counts[head]};
    before += request.counts[head];
  }
  context.team.parallel(shape_.kv_heads, 1, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin; head < end; ++head) {
      kernels::KvSpan spans[2];
      const int span_count = spans_of(context, static_cast<int>(head), spans);
      walked += spans[0].count + spans[1].count;
      const kernels::RowSpan v_spans[2] = {{spans[0].v, spans[0].count}, {spans[1].v, spans[1].count}};
      float* out =
          act_.attended.data() + place.first_query * shape_.q_width() + head * group * shape_.head_dim;
      kernels::joint_attend(kv_type_, group, shape_.head_dim, v_spans, span_count,
                            request.device_scores + head * group * request.size().segment_tokens,
                            request.size().segment_tokens, rows.data() + head * group, out, nullptr);
    }
  });
  context.bytes.access(plan_.device_tier, walked * head_row_);
  context.bytes.access(plan_.device_tier, before * (head_row_ + static_cast<Bytes>(sizeof(float))));
}

// The device's own output becomes the attention over all tokens where it lies.
void OpRunner::join_partials(const OpContext& context) {
  RequestBuffers& request = buffers(context);
  const Partial& host = request.host_partial_up;
  kernels::merge_partials(shape_.query_heads, shape_.head_dim,
                          act_.attended.data() + place_of(context).first_query * shape_.q_width(),
                          request.device_lse.data(), host.out, host.lse);
  context.bytes.access(plan_.device_tier,
                       (shape_.q_width() + shape_.query_heads) * static_cast<Bytes>(sizeof(float)));
}

void OpRunner::add_to_residual(const OpContext& context) {
  const std::int64_t elements = query_tokens(context.step) * shape_.hidden;
  kernels::add(act_.hidden.data(), act_.product.data(), act_.hidden.data(), elements);
}

void OpRunner::project_out(const OpContext& context) {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(context.op.layer));
  project(context, layer.attention_out, shape_.hidden, shape_.q_width(), act_.attended.data(),
          shape_.q_width(), query_tokens(context.step), act_.product.data(), shape_.hidden);
  add_to_residual(context);
}

void OpRunner::ffn(const OpContext& context) {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(context.op.layer));
  const Tokens tokens = query_tokens(context.step);
  const std::int64_t width = shape_.ffn_in_width();
  norm(context, layer.ffn_norm);
  project(context, layer.ffn_in, width, shape_.hidden, act_.normed.data(), shape_.hidden, tokens,
          act_.ffn_in.data(), width);
  context.team.parallel(tokens, 1, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      float* in = act_.ffn_in.data() + t * width;
      if (shape_.blocks.ffn == FfnKind::swiglu) {
        kernels::swiglu(in, in + shape_.ffn, in, shape_.ffn);
      } else {
        kernels::relu(in, shape_.ffn);
      }
    }
  });
  project(context, layer.down, shape_.hidden, shape_.ffn, act_.ffn_in.data(), width, tokens,
          act_.product.data(), shape_.hidden);
  add_to_residual(context);
}

void OpRunner::lm_head(const OpContext& context) {
  Tokens query = 0;
  Tokens row_index = 0;
  for (const BatchRow& row : context.step.batch) {
    query += row.query_tokens;  // the row's last query token is the one before
    norm_row(weights_.final_norm, act_.hidden.data() + (query - 1) * shape_.hidden,
             act_.normed.data() + row_index * shape_.hidden);
    ++row_index;
  }
  project(context, {weights_.output, nullptr}, shape_.vocab, shape_.hidden, act_.normed.data(), shape_.hidden,
          row_index, act_.logits.data(), shape_.vocab);
}

std::int64_t OpRunner::sample(const OpContext& context) {
  const RowPlace place = place_of(context);
  const auto vocab = static_cast<std::size_t>(shape_.vocab);
  const std::span<const float> logits(act_.logits.data() + place.row * vocab, vocab);
  auto& tokens = tokens_.at(context.op.request.index());
  if (feed_.on_logits) {
    feed_.on_logits(context.op.request, place.first_position + place.query_tokens - 1, logits);
  }
  auto next = static_cast<std::int32_t>(kernels::argmax(logits.data(), shape_.vocab));
  if (!feed_.forced.empty()) {
    const auto& forced = feed_.forced.at(context.op.request.index());
    const std::size_t generated = tokens.size() - feed_.prompts.at(context.op.request.index()).size();
    if (generated < forced.size()) next = forced[generated];
  }
  tokens.push_back(next);
  if (!context.op.produces.valid()) return 0;
  return std::find(feed_.end_tokens.begin(), feed_.end_tokens.end(), next) != feed_.end_tokens.end() ? 1 : 0;
}

}  // namespace hybridgen
