#include "runtime/host/attention_probe.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/select.hpp"

namespace hybridgen {
namespace {

double cosine(const float* a, const float* b, std::int64_t n) {
  const double norms = std::sqrt(double{kernels::dot(a, a, n)} * double{kernels::dot(b, b, n)});
  return norms > 0 ? kernels::dot(a, b, n) / norms : 1;
}

// Both in ascending order.
std::int64_t in_common(const std::int32_t* a, const std::int32_t* b, std::int64_t n) {
  std::vector<std::int32_t> both;
  std::set_intersection(a, a + n, b, b + n, std::back_inserter(both));
  return static_cast<std::int64_t>(both.size());
}

double mass_of(const float* scores, std::int64_t n, double top) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(scores[i] - top);
  return sum;
}

}  // namespace

AttentionSample probe_attention(const ProbedAttention& attention) {
  const ModelShape& shape = attention.shape;
  const Bytes row = kernels::row_bytes(attention.kv_type, shape.head_dim);
  const RowStore& keys = attention.request.host_k(attention.layer);
  const auto scanned = static_cast<std::size_t>(attention.scanned);
  const std::int64_t host = attention.request.size().host_tokens;
  std::vector<float> logits(static_cast<std::size_t>(host));
  std::vector<std::int32_t> best(scanned);
  std::vector<float> best_scores(scanned);
  std::vector<std::uint32_t> scratch(static_cast<std::size_t>(kernels::select_scratch(attention.scanned)));
  const float scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim));
  AttentionSample sum{attention.layer, 0, 0, 0};
  for (int head = 0; head < shape.query_heads; ++head) {
    const float* query = attention.queries + static_cast<std::int64_t>(head) * shape.head_dim;
    const std::int64_t all = attention.first + attention.scanned;  // host tokens
    kernels::logits(attention.kv_type, query, 1, shape.head_dim, keys.head(head / shape.group(), row), all,
                    scale, logits.data(), all);
    const float* scores = logits.data() + attention.first;
    const std::int64_t count = attention.exchange.counts[static_cast<std::size_t>(head)];
    const std::int32_t* chosen =
        attention.exchange.rows_of(head, attention.request.size().exchange_rows_per_head);
    kernels::select_top_k(scores, attention.scanned, count, scratch.data(), best.data(), best_scores.data());
    const float* on_device = attention.request.device_scores + head * attention.request.size().segment_tokens;
    const double top =
        std::max(kernels::max_of(logits.data(), all), kernels::max_of(on_device, attention.device_tokens));
    double captured = mass_of(on_device, attention.device_tokens, top);
    const double whole = captured + mass_of(logits.data(), all, top);
    for (std::int64_t i = 0; i < count; ++i) captured += std::exp(scores[chosen[i]] - top);
    sum.cosine += cosine(attention.exchange.query + static_cast<std::int64_t>(head) * shape.head_dim, query,
                         shape.head_dim);
    sum.recall += static_cast<double>(in_common(chosen, best.data(), count)) / static_cast<double>(count);
    sum.captured_mass += captured / whole;
  }
  const double heads = shape.query_heads;
  return {attention.layer, sum.cosine / heads, sum.recall / heads, sum.captured_mass / heads};
}

}  // namespace hybridgen
