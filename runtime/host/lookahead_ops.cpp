// What the device computes for a host that works one layer ahead: the prediction of a layer's queries, the
// exact logits of rows that a prediction chose, and the correction of predicted logits.
#include <algorithm>
#include <array>
#include <atomic>
#include <span>

#include "core/base/check.hpp"
#include "runtime/host/attention_probe.hpp"
#include "runtime/host/op_runner.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/line_fit.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kBothRows = 256;  // K rows that stay in the cache between the two queries

}  // namespace

// act_.hidden is still the input of the layer before the op's.
void OpRunner::predict_query(const OpContext& context) {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(context.op.layer));
  const Tokens tokens = query_tokens(context.step);
  const std::int64_t width = shape_.q_width();
  float* predicted = act_.predicted[static_cast<std::size_t>(context.op.work.buffer)].data();
  const std::size_t normed_by =
      static_cast<std::size_t>(context.op.layer - (plan_.lookahead.own_norm ? 1 : 0));
  norm(context, weights_.layers.at(normed_by).attention_norm, 0, tokens);
  project(context, layer.qkv, width, shape_.hidden, act_.normed.data(), shape_.hidden, tokens, predicted,
          width);  // q's rows are the first
  if (plan_.lookahead.fitted) {
    const std::int64_t rank = shape_.predictor.rank;
    HG_CHECK(layer.predictor.down != nullptr && layer.predictor.up != nullptr,
             "layer " << context.op.layer << " has no fitted predictor");
    project(context, {layer.predictor.down, nullptr}, rank, shape_.hidden, act_.normed.data(), shape_.hidden,
            tokens, act_.low_rank.data(), rank);
    project(context, {layer.predictor.up, nullptr}, width, rank, act_.low_rank.data(), rank, tokens,
            act_.missing.data(), width);
    kernels::add(predicted, act_.missing.data(), predicted, tokens * width);
  }
  for (Tokens query = 0; query < tokens; ++query) {
    finish_heads(predicted + query * width, shape_.query_heads, layer.q_norm, query);
  }
}

// As device_logits, K block by K block for both queries; then each head's line from predicted to true logits.
// The first tokens take no part in the fit: their keys lie far from all others.
void OpRunner::fit_logits(const OpContext& context) {
  const RowPlace place = place_of(context);
  RequestBuffers& request = buffers(context);
  const int group = shape_.group();
  const std::int64_t stride = request.size().segment_tokens;
  const Tokens sinks = std::min(request.size().sink_tokens, context.op.work.tokens);
  const float* predicted = act_.predicted[static_cast<std::size_t>(context.op.work.buffer)].data();
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  context.team.parallel(shape_.kv_heads, 1, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin; head < end; ++head) {
      const std::int64_t first = head * group;  // query head
      const std::int64_t at = first * shape_.head_dim;
      const std::array<const float*, 2> queries = {act_.qkv.data() + place.first_query * act_.qkv_width + at,
                                                   predicted + place.first_query * shape_.q_width() + at};
      const std::array<float*, 2> scores = {request.device_scores + first * stride,
                                            request.device_predicted_scores + first * stride};
      Spans spans;
      const int span_count = spans_of(context, {static_cast<int>(head), 0, context.op.work.tokens}, spans);
      std::int64_t done = 0;
      for (const kernels::KvSpan& span : std::span(spans).first(static_cast<std::size_t>(span_count))) {
        for (std::int64_t row = 0; row < span.count; row += kBothRows) {
          const std::int64_t count = std::min(kBothRows, span.count - row);
          const void* keys = kernels::row_at(span.k, kv_type_, shape_.head_dim, row);
          for (std::size_t i = 0; i < queries.size(); ++i) {
            kernels::logits(kv_type_, queries[i], group, shape_.head_dim, keys, count, scale_,
                            scores[i] + done, stride);
          }
          done += count;
        }
        walked += span.count;
      }
      for (std::int64_t query = first; query < first + group; ++query) {
        const std::int64_t from = query * stride + sinks;
        const kernels::Line line = kernels::fit_line(request.device_predicted_scores + from,
                                                     request.device_scores + from, done - sinks);
        request.slope[static_cast<std::size_t>(query)] = line.slope;
        request.shift[static_cast<std::size_t>(query)] = line.shift;
      }
    }
  });
  context.bytes.access(plan_.device_tier, walked * head_row_);
}

void OpRunner::correct_scores(const OpContext& context) {
  const RequestBuffers& request = buffers(context);
  const Exchange& exchange = exchange_of(context);
  float* score = exchange.device_chosen_scores;
  for (std::size_t head = 0; head < exchange.counts.size(); ++head) {
    for (std::int64_t i = 0; i < exchange.counts[head]; ++i, ++score) {
      *score = request.slope[head] * *score + request.shift[head];
    }
  }
  const Bytes bytes = exchange.scores_up() * static_cast<Bytes>(sizeof(float));
  context.bytes.access(plan_.device_tier, bytes);  // read
  context.bytes.access(plan_.device_tier, bytes);  // written
}

// A packed head's rows get the logits of all query heads that share them.
void OpRunner::row_logits(const OpContext& context) {
  const Exchange& exchange = exchange_of(context);
  const float* queries = act_.qkv.data() + place_of(context).first_query * act_.qkv_width;
  const std::int64_t group = exchange.group;
  const auto count_of = [&](std::int64_t packed) {
    return exchange.counts[static_cast<std::size_t>(packed * group)];
  };
  context.team.parallel(shape_.query_heads / group, 1, [&](int, std::int64_t begin, std::int64_t end) {
    std::int64_t before = 0;  // rows of earlier packed heads
    for (std::int64_t packed = 0; packed < begin; ++packed) before += count_of(packed);
    for (std::int64_t packed = begin; packed < end; ++packed) {
      kernels::logits(kv_type_, queries + packed * group * shape_.head_dim, static_cast<int>(group),
                      shape_.head_dim, exchange.device_packed_keys + before * head_row_, count_of(packed),
                      scale_, exchange.device_chosen_scores + before * group, count_of(packed));
      before += count_of(packed);
    }
  });
  context.bytes.access(plan_.device_tier, exchange.rows_up() * head_row_);
}

// Which host tokens were scanned is the host's op to know.
void OpRunner::probe(const OpContext& context) {
  const Op& op = context.op;
  const auto scan = std::find_if(context.step.ops.begin(), context.step.ops.end(), [&](const Op& other) {
    return other.kind == OpKind::host_logits && other.layer == op.layer && other.request == op.request;
  });
  HG_CHECK(scan != context.step.ops.end(), "op " << op.id.value << " joins rows that nobody scanned");
  const RequestBuffers& request = buffers(context);
  feed_.on_attention(probe_attention({shape_, kv_type_, request, exchange_of(context), op.layer,
                                      act_.qkv.data() + place_of(context).first_query * act_.qkv_width,
                                      op.work.tokens, scan->work.first_token, scan->work.tokens}));
}

}  // namespace hybridgen
