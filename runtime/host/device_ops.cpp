// What the device computes beside attention: the transformer's layers over its own memory.
#include <algorithm>
#include <span>

#include "core/base/check.hpp"
#include "core/machine/tiles.hpp"
#include "runtime/host/op_runner.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/gemv.hpp"
#include "runtime/kernels/rope.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kGemvGrain = 16;  // weight rows: no cache line of the result is shared by two threads
constexpr Tokens kMostGemvTokens = 16;   // beyond, a GEMM's conversion of the weights pays
constexpr std::int64_t kGemmGrain = 32;  // weight rows: a few hundred are shared out evenly

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
  float* scratch = act_.normed.data();
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

// Of a tile of query tokens.
void OpRunner::norm(const OpContext& context, const NormWeights& weights, Tokens first, Tokens tokens) {
  context.team.parallel(tokens, 1, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      norm_row(weights, act_.hidden.data() + (first + t) * shape_.hidden,
               act_.normed.data() + t * shape_.hidden);
    }
  });
}

void OpRunner::project(const OpContext& context, const ProductWeights& weights, std::int64_t rows,
                       std::int64_t cols, const float* x, std::int64_t x_stride, Tokens tokens, float* out,
                       std::int64_t out_stride) {
  const bool few = tokens <= kMostGemvTokens;
  const std::int64_t grain = few ? kGemvGrain : kGemmGrain;
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
  if (feed_.on_layer_input) {
    const Tokens tokens = query_tokens(context.step);
    feed_.on_layer_input(
        context.op.layer,
        std::span<const float>(act_.hidden).first(static_cast<std::size_t>(tokens * shape_.hidden)));
  }
  for_each_tile(query_tokens(context.step), [&](Tokens first, Tokens tokens) {
    norm(context, layer.attention_norm, first, tokens);
    project(context, layer.qkv, act_.qkv_width, shape_.hidden, act_.normed.data(), shape_.hidden, tokens,
            act_.qkv.data() + first * act_.qkv_width, act_.qkv_width);
  });
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
  for (int head = 0; head < shape_.kv_heads; ++head) {
    const std::int64_t offset = head * shape_.head_dim;
    const Tokens slot = work.kv == KvPlace::kept
                            ? kv.kept.at(static_cast<std::size_t>(context.op.layer)).next_slot(head)
                            : segment_slot(position, k_store.slots, k_store.sinks);
    kernels::store_rows(kv_type_, shape_.head_dim, k + offset,
                        k_store.head(head, head_row_) + slot * head_row_, 1);
    kernels::store_rows(kv_type_, shape_.head_dim, v + offset,
                        v_store.head(head, head_row_) + slot * head_row_, 1);
  }
}

void OpRunner::add_to_residual(const OpContext& context, Tokens first, Tokens tokens) {
  context.team.parallel(tokens, 1, [&](int, std::int64_t begin, std::int64_t end) {
    float* hidden = act_.hidden.data() + (first + begin) * shape_.hidden;
    kernels::add(hidden, act_.product.data() + begin * shape_.hidden, hidden, (end - begin) * shape_.hidden);
  });
}

void OpRunner::project_out(const OpContext& context) {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(context.op.layer));
  for_each_tile(query_tokens(context.step), [&](Tokens first, Tokens tokens) {
    project(context, layer.attention_out, shape_.hidden, shape_.q_width(),
            act_.attended.data() + first * shape_.q_width(), shape_.q_width(), tokens, act_.product.data(),
            shape_.hidden);
    add_to_residual(context, first, tokens);
  });
}

void OpRunner::ffn(const OpContext& context) {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(context.op.layer));
  const std::int64_t width = shape_.ffn_in_width();
  for_each_tile(query_tokens(context.step), [&](Tokens first, Tokens tokens) {
    norm(context, layer.ffn_norm, first, tokens);
    project(context, layer.ffn_in, width, shape_.hidden, act_.normed.data(), shape_.hidden, tokens,
            act_.ffn_in.data(), width);
    activate(context, tokens);
    project(context, layer.down, shape_.hidden, shape_.ffn, act_.ffn_in.data(), width, tokens,
            act_.product.data(), shape_.hidden);
    add_to_residual(context, first, tokens);
  });
}

void OpRunner::activate(const OpContext& context, Tokens tokens) {
  const std::int64_t width = shape_.ffn_in_width();
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
