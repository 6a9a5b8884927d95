#include "runtime/lookahead/layer_queries.hpp"

#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/rope.hpp"

namespace hybridgen {

LayerQueries::LayerQueries(const HostModel& model, int layer, const std::vector<float>& own,
                           const std::vector<float>& before)
    : shape_(model.shape),
      weights_(model.weights.layers.at(static_cast<std::size_t>(layer))),
      tokens_(static_cast<Tokens>(own.size()) / shape_.hidden),
      own_(normed(own)),
      before_(normed(before)) {}

std::vector<float> LayerQueries::normed(const std::vector<float>& hidden) const {
  std::vector<float> out(hidden.size());
  const auto eps = static_cast<float>(shape_.norm_eps);
  const NormWeights& norm = weights_.attention_norm;
  for (std::size_t at = 0; at < hidden.size(); at += static_cast<std::size_t>(shape_.hidden)) {
    if (shape_.blocks.norm == NormKind::rms) {
      kernels::rms_norm(hidden.data() + at, norm.weight, out.data() + at, shape_.hidden, eps);
    } else {
      kernels::layer_norm(hidden.data() + at, norm.weight, norm.bias, out.data() + at, shape_.hidden, eps);
    }
  }
  return out;
}

// By the rows [first, first + rows) of the fused projection, with their bias.
std::vector<float> LayerQueries::projected(const std::vector<float>& x, std::int64_t first,
                                           std::int64_t rows) const {
  std::vector<float> out(static_cast<std::size_t>(tokens_ * rows));
  std::vector<float> scratch(static_cast<std::size_t>(kernels::gemm_scratch(shape_.hidden)));
  kernels::gemm_f16(weights_.qkv.matrix + first * shape_.hidden, x.data(), shape_.hidden, tokens_, 0, rows,
                    shape_.hidden, out.data(), rows, scratch.data());
  for (Tokens t = 0; weights_.qkv.bias != nullptr && t < tokens_; ++t) {
    kernels::add(out.data() + t * rows, weights_.qkv.bias + first, out.data() + t * rows, rows);
  }
  return out;
}

void LayerQueries::finish(std::vector<float>& x, int heads, const float* norm) const {
  const std::int64_t width = static_cast<std::int64_t>(heads) * shape_.head_dim;
  std::vector<double> frequencies;
  if (shape_.blocks.position == PositionKind::rotary) {
    frequencies = kernels::rope_frequencies(shape_.head_dim, shape_.rope_theta, shape_.blocks.rope_scaling);
  }
  std::vector<float> cosine(frequencies.size());
  std::vector<float> sine(frequencies.size());
  for (Tokens t = 0; t < tokens_; ++t) {
    float* at = x.data() + t * width;
    for (int head = 0; norm != nullptr && head < heads; ++head) {
      float* one = at + static_cast<std::int64_t>(head) * shape_.head_dim;
      kernels::rms_norm(one, norm, one, shape_.head_dim, static_cast<float>(shape_.norm_eps));
    }
    if (frequencies.empty()) continue;
    kernels::rope_angles(t, frequencies, cosine.data(), sine.data());
    kernels::rope(at, heads, shape_.head_dim, cosine.data(), sine.data());
  }
}

std::vector<float> LayerQueries::missing() const {
  std::vector<float> own = projected(own_, 0, shape_.q_width());
  const std::vector<float> guess = projected(before_, 0, shape_.q_width());
  for (std::size_t i = 0; i < own.size(); ++i) own[i] -= guess[i];
  return own;
}

std::vector<float> LayerQueries::true_queries() const {
  std::vector<float> queries = projected(own_, 0, shape_.q_width());
  finish(queries, shape_.query_heads, weights_.q_norm);
  return queries;
}

std::vector<float> LayerQueries::predicted_queries(const std::vector<float>& added) const {
  std::vector<float> queries = projected(before_, 0, shape_.q_width());
  for (std::size_t i = 0; i < added.size(); ++i) queries[i] += added[i];
  finish(queries, shape_.query_heads, weights_.q_norm);
  return queries;
}

std::vector<float> LayerQueries::keys() const {
  std::vector<float> keys = projected(own_, shape_.q_width(), shape_.kv_width());
  finish(keys, shape_.kv_heads, weights_.k_norm);
  return keys;
}

}  // namespace hybridgen
