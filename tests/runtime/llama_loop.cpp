#include "tests/runtime/llama_loop.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/gemv.hpp"
#include "runtime/kernels/prefill.hpp"
#include "runtime/kernels/rope.hpp"

namespace hybridgen::kernels {
namespace {

std::size_t count_of(std::int64_t n) {
  return static_cast<std::size_t>(n);
}

}  // namespace

LlamaLoop::LlamaLoop(const ModelWeights& weights, KvType type, std::int64_t capacity)
    : weights_(weights),
      shape_(weights.shape),
      type_(type),
      capacity_(capacity),
      qkv_width_(shape_.qkv_width()),
      frequencies_(rope_frequencies(shape_.head_dim, shape_.rope_theta)) {
  kv_.resize(count_of(2 * shape_.layers * capacity * shape_.kv_heads * row_bytes(type, shape_.head_dim)));
  const std::int64_t widest = std::max(shape_.hidden, shape_.ffn);
  scratch_.resize(count_of(std::max({gemm_scratch(widest), prefill_scratch(shape_.group(), shape_.head_dim),
                                     attend_scratch(shape_.group(), capacity)})));
  logits_.resize(count_of(shape_.vocab));
}

std::byte* LlamaLoop::kv_row(std::size_t layer, int head, bool is_v, std::int64_t position) {
  const std::int64_t segment =
      (static_cast<std::int64_t>(layer) * shape_.kv_heads + head) * 2 + (is_v ? 1 : 0);
  return kv_.data() + (segment * capacity_ + position) * row_bytes(type_, shape_.head_dim);
}

KvSpan LlamaLoop::span(std::size_t layer, int head, std::int64_t rows) const {
  auto* self = const_cast<LlamaLoop*>(this);
  return {self->kv_row(layer, head, false, 0), self->kv_row(layer, head, true, 0), rows};
}

void LlamaLoop::append_kv(std::size_t layer, const float* k, const float* v, std::int64_t position) {
  for (int h = 0; h < shape_.kv_heads; ++h) {
    store_rows(type_, shape_.head_dim, k + h * shape_.head_dim, kv_row(layer, h, false, position), 1);
    store_rows(type_, shape_.head_dim, v + h * shape_.head_dim, kv_row(layer, h, true, position), 1);
  }
}

void LlamaLoop::decode_layer(std::size_t index) {
  const LayerWeights& layer = weights_.layers[index];
  const int head_dim = shape_.head_dim, group = shape_.group();
  const std::int64_t query_width = std::int64_t{shape_.query_heads} * head_dim;
  const std::int64_t kv_width = std::int64_t{shape_.kv_heads} * head_dim;
  const auto eps = static_cast<float>(shape_.norm_eps);
  rms_norm(x_.data(), layer.attention_norm.weight, normed_.data(), shape_.hidden, eps);
  gemv_f16(layer.qkv.matrix, normed_.data(), qkv_.data(), 0, qkv_width_, shape_.hidden);
  rope(qkv_.data(), shape_.query_heads + shape_.kv_heads, head_dim, cosine_.data(), sine_.data());
  append_kv(index, qkv_.data() + query_width, qkv_.data() + query_width + kv_width, length_);
  for (int h = 0; h < shape_.kv_heads; ++h) {
    const KvSpan rows = span(index, h, length_ + 1);
    const std::int64_t at = std::int64_t{h} * group * head_dim;
    attend(type_, qkv_.data() + at, group, head_dim, &rows, 1, 1.0f / std::sqrt(static_cast<float>(head_dim)),
           scratch_.data(), attended_.data() + at, nullptr);
  }
  gemv_f16(layer.attention_out.matrix, attended_.data(), normed_.data(), 0, shape_.hidden, query_width);
  add(x_.data(), normed_.data(), x_.data(), shape_.hidden);
  rms_norm(x_.data(), layer.ffn_norm.weight, normed_.data(), shape_.hidden, eps);
  gemv_f16(layer.ffn_in.matrix, normed_.data(), gate_up_.data(), 0, 2 * std::int64_t{shape_.ffn},
           shape_.hidden);
  swiglu(gate_up_.data(), gate_up_.data() + shape_.ffn, gate_up_.data(), shape_.ffn);
  gemv_f16(layer.down.matrix, gate_up_.data(), normed_.data(), 0, shape_.hidden, shape_.ffn);
  add(x_.data(), normed_.data(), x_.data(), shape_.hidden);
}

const float* LlamaLoop::decode(std::int32_t token) {
  const std::int64_t query_width = std::int64_t{shape_.query_heads} * shape_.head_dim;
  x_.resize(count_of(shape_.hidden));
  normed_.resize(count_of(shape_.hidden));
  qkv_.resize(count_of(qkv_width_));
  attended_.resize(count_of(query_width));
  gate_up_.resize(count_of(2 * shape_.ffn));
  cosine_.resize(count_of(shape_.head_dim / 2));
  sine_.resize(count_of(shape_.head_dim / 2));
  rope_angles(length_, frequencies_, cosine_.data(), sine_.data());
  embed_row(weights_.embedding, token, shape_.hidden, x_.data());
  for (std::size_t layer = 0; layer < weights_.layers.size(); ++layer) decode_layer(layer);
  rms_norm(x_.data(), weights_.final_norm.weight, x_.data(), shape_.hidden,
           static_cast<float>(shape_.norm_eps));
  ++length_;
  return head(x_.data());
}

const float* LlamaLoop::head(const float* hidden) {
  gemv_f16(weights_.output, hidden, logits_.data(), 0, shape_.vocab, shape_.hidden);
  return logits_.data();
}

void LlamaLoop::prefill_layer(std::size_t index, std::int64_t tokens) {
  const LayerWeights& layer = weights_.layers[index];
  const int head_dim = shape_.head_dim, group = shape_.group(), half = head_dim / 2;
  const std::int64_t hidden = shape_.hidden, ffn = shape_.ffn;
  const std::int64_t query_width = std::int64_t{shape_.query_heads} * head_dim;
  const std::int64_t kv_width = std::int64_t{shape_.kv_heads} * head_dim;
  const auto eps = static_cast<float>(shape_.norm_eps);
  const auto norm_all = [&](const float* weight) {
    for (std::int64_t t = 0; t < tokens; ++t) {
      rms_norm(x_.data() + t * hidden, weight, normed_.data() + t * hidden, hidden, eps);
    }
  };
  const auto multiply = [&](const Half* w, const std::vector<float>& from, std::int64_t stride,
                            std::int64_t rows, std::int64_t cols, std::vector<float>& to) {
    gemm_f16(w, from.data(), stride, tokens, 0, rows, cols, to.data(), rows, scratch_.data());
  };
  norm_all(layer.attention_norm.weight);
  multiply(layer.qkv.matrix, normed_, hidden, qkv_width_, hidden, qkv_);
  for (std::int64_t t = 0; t < tokens; ++t) {
    float* row = qkv_.data() + t * qkv_width_;
    rope(row, shape_.query_heads + shape_.kv_heads, head_dim, cosine_.data() + t * half,
         sine_.data() + t * half);
    append_kv(index, row + query_width, row + query_width + kv_width, length_ + t);
  }
  for (int h = 0; h < shape_.kv_heads; ++h) {
    const KvSpan rows = span(index, h, length_ + tokens);
    const std::int64_t at = std::int64_t{h} * group * head_dim;
    kernels::prefill(type_, qkv_.data() + at, qkv_width_, tokens, length_, group, head_dim, &rows, 1,
                     1.0f / std::sqrt(static_cast<float>(head_dim)), scratch_.data(), attended_.data() + at,
                     query_width);
  }
  multiply(layer.attention_out.matrix, attended_, query_width, hidden, query_width, normed_);
  add(x_.data(), normed_.data(), x_.data(), tokens * hidden);
  norm_all(layer.ffn_norm.weight);
  multiply(layer.ffn_in.matrix, normed_, hidden, 2 * ffn, hidden, gate_up_);
  for (std::int64_t t = 0; t < tokens; ++t) {
    float* gate = gate_up_.data() + t * 2 * ffn;
    swiglu(gate, gate + ffn, gate, ffn);
  }
  multiply(layer.down.matrix, gate_up_, 2 * ffn, hidden, ffn, normed_);
  add(x_.data(), normed_.data(), x_.data(), tokens * hidden);
}

const float* LlamaLoop::prefill(const std::vector<std::int32_t>& tokens) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  const std::int64_t half = shape_.head_dim / 2, hidden = shape_.hidden;
  x_.resize(count_of(count * hidden));
  normed_.resize(count_of(count * hidden));
  qkv_.resize(count_of(count * qkv_width_));
  attended_.resize(count_of(count * shape_.query_heads * shape_.head_dim));
  gate_up_.resize(count_of(count * 2 * shape_.ffn));
  cosine_.resize(count_of(count * half));
  sine_.resize(count_of(count * half));
  for (std::int64_t t = 0; t < count; ++t) {
    rope_angles(length_ + t, frequencies_, cosine_.data() + t * half, sine_.data() + t * half);
    embed_row(weights_.embedding, tokens[count_of(t)], hidden, x_.data() + t * hidden);
  }
  for (std::size_t layer = 0; layer < weights_.layers.size(); ++layer) prefill_layer(layer, count);
  for (std::int64_t t = 0; t < count; ++t) {
    float* row = x_.data() + t * hidden;
    rms_norm(row, weights_.final_norm.weight, row, hidden, static_cast<float>(shape_.norm_eps));
  }
  length_ += count;
  return x_.data();
}

}  // namespace hybridgen::kernels
