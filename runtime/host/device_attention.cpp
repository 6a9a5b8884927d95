// What the device computes of attention: over its own segment or a staging buffer, and joined with the
// host's.
#include <algorithm>
#include <array>
#include <atomic>
#include <span>

#include "core/base/check.hpp"
#include "runtime/host/op_runner.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/prefill.hpp"

namespace hybridgen {
namespace {

// Query tokens of prefill that one thread takes at a time: all of them on one thread, else so many that the
// last chunks even the threads out.
Tokens prefill_chunk(Tokens tokens, int threads) {
  if (threads == 1) return tokens;
  const Tokens even = tokens / (4 * threads);
  return std::max<Tokens>(1, (even + kernels::kPrefillQueries - 1) / kernels::kPrefillQueries) *
         kernels::kPrefillQueries;
}

// Unused spans have no rows.
std::int64_t rows_of(const std::array<kernels::KvSpan, 3>& spans) {
  return spans[0].count + spans[1].count + spans[2].count;
}

}  // namespace

// Rows of a head's share, among the op's `tokens` tokens of its request on the device: the newest, and before
// them the first ones where the store keeps these. As spans in token order; returns how many.
int OpRunner::spans_of(const OpContext& context, const HeadShare& share, Spans& spans) const {
  const Work& work = context.op.work;
  const RowPlace place = place_of(context);
  const Tokens first = place.first_position + place.query_tokens - work.tokens + share.begin;
  const RowStore& k = buffers(context).device_k(work.kv, context.op.layer, work.buffer);
  const RowStore& v = buffers(context).device_v(work.kv, context.op.layer, work.buffer);
  int count = 0;
  const auto add = [&](const SlotRun& run) {
    if (run.count == 0) return;
    spans.at(static_cast<std::size_t>(count++)) = {k.head(share.head, head_row_) + run.slot * head_row_,
                                                   v.head(share.head, head_row_) + run.slot * head_row_,
                                                   run.count};
  };
  const Tokens sinks = std::clamp<Tokens>(k.sinks - share.begin, 0, share.end - share.begin);
  add({share.begin, sinks});
  for (const SlotRun& run : segment_runs(first + sinks, share.end - share.begin - sinks, k.slots, k.sinks)) {
    add(run);
  }
  return count;
}

// Calls part(thread, share, out, lse) for every share of every thread of the team. out and lse are the head's
// own where the share is the whole head; parts of a head that is cut are joined in their order, so that a run
// repeats bit by bit.
template <class Part>
void OpRunner::share_heads(const OpContext& context, float* out, float* lse, const Part& part) {
  const int group = shape_.group();
  const std::int64_t width = static_cast<std::int64_t>(group) * shape_.head_dim;
  const HeadShares shares(shape_.kv_heads, context.op.work.tokens, context.team.threads());
  context.team.parallel(context.team.threads(), 1, [&](int thread, std::int64_t, std::int64_t) {
    float* own = act_.partial(thread);
    shares.of(thread, [&](const HeadShare& share) {
      if (shares.whole(share)) return part(thread, share, out + share.head * width, lse + share.head * group);
      part(thread, share, own, own + width);
      own += width + group;
    });
  });
  for (int thread = 0; thread < context.team.threads(); ++thread) {
    const float* own = act_.partial(thread);
    shares.of(thread, [&](const HeadShare& share) {
      if (shares.whole(share)) return;
      float* to = out + share.head * width;
      if (share.begin == 0) {
        std::copy_n(own, width, to);
        std::copy_n(own + width, group, lse + share.head * group);
      } else {
        kernels::merge_partials(group, shape_.head_dim, to, lse + share.head * group, own, own + width);
      }
      own += width + group;
    });
  }
}

void OpRunner::attend(const OpContext& context) {
  const RowPlace place = place_of(context);
  if (place.query_tokens > 1) return attend_many(context, place);
  const int group = shape_.group();
  const std::int64_t group_width = static_cast<std::int64_t>(group) * shape_.head_dim;
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  const bool joined_later = context.op.kind == OpKind::device_partial;
  share_heads(context, act_.attended.data() + place.first_query * shape_.q_width(),
              joined_later ? buffers(context).device_lse.data() : act_.lse.data(),
              [&](int thread, const HeadShare& share, float* out, float* lse) {
                Spans spans;
                const int span_count = spans_of(context, share, spans);
                walked += rows_of(spans);
                const float* q =
                    act_.qkv.data() + place.first_query * act_.qkv_width + share.head * group_width;
                kernels::attend(kv_type_, q, group, shape_.head_dim, spans.data(), span_count, scale_,
                                act_.scratch[static_cast<std::size_t>(thread)].data(), out, lse);
              });
  context.bytes.access(plan_.device_tier, 2 * walked * head_row_);  // K and V
}

// Prefill: each thread takes a head's next chunk of query tokens, those that see most rows first.
void OpRunner::attend_many(const OpContext& context, const RowPlace& place) {
  const int group = shape_.group();
  const std::int64_t group_width = static_cast<std::int64_t>(group) * shape_.head_dim;
  const Tokens chunk = prefill_chunk(place.query_tokens, context.team.threads());
  const Tokens chunks = (place.query_tokens + chunk - 1) / chunk;
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads: each is needed once
  context.team.each(chunks * shape_.kv_heads, [&](int thread, std::int64_t item, std::int64_t) {
    const int head = static_cast<int>(item % shape_.kv_heads);
    const Tokens first = (chunks - 1 - item / shape_.kv_heads) * chunk;
    const Tokens tokens = std::min(chunk, place.query_tokens - first);
    Spans spans;
    const int span_count = spans_of(context, {head, 0, context.op.work.tokens}, spans);
    if (first == 0) walked += rows_of(spans);
    const Tokens query = place.first_query + first;
    kernels::prefill(kv_type_, act_.qkv.data() + query * act_.qkv_width + head * group_width, act_.qkv_width,
                     tokens, place.first_position + first, group, shape_.head_dim, spans.data(), span_count,
                     scale_, act_.scratch[static_cast<std::size_t>(thread)].data(),
                     act_.attended.data() + query * shape_.q_width() + head * group_width, shape_.q_width());
  });
  context.bytes.access(plan_.device_tier, 2 * walked * head_row_);  // K and V
}

void OpRunner::device_logits(const OpContext& context) {
  const RowPlace place = place_of(context);
  RequestBuffers& request = buffers(context);
  const int group = shape_.group();
  const std::int64_t stride = request.size().segment_tokens;
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  const HeadShares shares(shape_.kv_heads, context.op.work.tokens, context.team.threads());
  context.team.parallel(context.team.threads(), 1, [&](int thread, std::int64_t, std::int64_t) {
    shares.of(thread, [&](const HeadShare& share) {
      Spans spans;
      const int span_count = spans_of(context, share, spans);
      walked += rows_of(spans);
      const float* q =
          act_.qkv.data() + place.first_query * act_.qkv_width + share.head * group * shape_.head_dim;
      float* scores = request.device_scores + share.head * group * stride + share.begin;
      for (const kernels::KvSpan& span : std::span(spans).first(static_cast<std::size_t>(span_count))) {
        kernels::logits(kv_type_, q, group, shape_.head_dim, span.k, span.count, scale_, scores, stride);
        scores += span.count;
      }
    });
  });
  context.bytes.access(plan_.device_tier, walked * head_row_);
}

void OpRunner::joint_attend(const OpContext& context) {
  const RowPlace place = place_of(context);
  if (feed_.on_attention && place.first_position % feed_.attention_every == 0) probe(context);
  RequestBuffers& request = buffers(context);
  const Exchange& exchange = exchange_of(context);
  const int group = shape_.group();
  const std::int64_t stride = request.size().segment_tokens;
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  std::int64_t scores = 0, packed = 0;
  for (std::size_t head = 0; head < act_.host_rows.size(); ++head) {
    const std::int64_t count = exchange.counts[head];
    act_.host_rows[head] = {exchange.device_chosen_scores + scores,
                            exchange.device_packed + packed * head_row_, count};
    scores += count;
    const bool last_of_rows = (head + 1) % static_cast<std::size_t>(plan_.exchange_group) == 0;
    if (last_of_rows) packed += count;
  }
  share_heads(context, act_.attended.data() + place.first_query * shape_.q_width(), act_.lse.data(),
              [&](int, const HeadShare& share, float* out, float* lse) {
                Spans spans;
                const int span_count = spans_of(context, share, spans);
                walked += rows_of(spans);
                std::array<kernels::RowSpan, 3> v_spans;
                std::transform(spans.begin(), spans.end(), v_spans.begin(), [](const kernels::KvSpan& span) {
                  return kernels::RowSpan{span.v, span.count};
                });
                // Whoever has a head's first rows joins the host's.
                const kernels::HostRows* rows =
                    share.begin == 0 ? act_.host_rows.data() + share.head * group : act_.no_rows.data();
                kernels::joint_attend(kv_type_, group, shape_.head_dim, v_spans.data(), span_count,
                                      request.device_scores + share.head * group * stride + share.begin,
                                      stride, rows, out, lse);
              });
  context.bytes.access(plan_.device_tier, walked * head_row_);
  context.bytes.access(plan_.device_tier, packed * head_row_ + scores * static_cast<Bytes>(sizeof(float)));
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

}  // namespace hybridgen
