#include "runtime/host/host_ops.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <span>

#include "core/base/check.hpp"
#include "core/residency/exchange.hpp"
#include "runtime/host/each_head.hpp"
#include "runtime/host/kv_type_of.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/pack.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kPackGrain = 64;     // rows of one head: 16 KiB
constexpr std::int64_t kAttendGrain = 256;  // tokens that are attended to at a time

// A thread's part of the attention over the host segment: what it has joined so far, and room for one grain.
struct ThreadPartial {
  Partial joined;  // all query heads
  Partial grain;   // one group
  float* scratch;

  static std::int64_t floats(const ModelShape& shape) {
    return shape.q_width() + shape.query_heads +
           static_cast<std::int64_t>(shape.group()) * (shape.head_dim + 1) +
           kernels::attend_scratch(shape.group(), kAttendGrain);
  }
  ThreadPartial(const ModelShape& shape, float* base) {
    joined = {base, base + shape.q_width()};
    grain.out = joined.lse + shape.query_heads;
    grain.lse = grain.out + static_cast<std::int64_t>(shape.group()) * shape.head_dim;
    scratch = grain.lse + shape.group();
  }
};

}  // namespace

HostOps::HostOps(const ModelShape& shape, const MemoryPlan& plan)
    : shape_(shape),
      plan_(plan),
      kv_type_(kv_type_of(plan.kv_dtype)),
      head_row_(head_row_bytes(shape, plan.kv_dtype)),
      scale_(1.0F / std::sqrt(static_cast<float>(shape.head_dim))) {}

std::int64_t HostOps::run(const OpContext& context, RequestBuffers& request) const {
  switch (context.op.kind) {
    case OpKind::host_logits:
      host_logits(context, request);
      return 0;
    case OpKind::select:
      return select(context, request);
    case OpKind::pack_rows:
    case OpKind::pack_keys:
      pack(context, request);
      return 0;
    case OpKind::host_attend:
      host_attend(context, request);
      return 0;
    default:
      HG_CHECK(false,
               "op " << context.op.id.value << " (" << name_of(context.op.kind) << ") is none of the host's");
  }
  return 0;
}

void HostOps::host_logits(const OpContext& context, RequestBuffers& request) const {
  const int group = shape_.group();
  const RowStore& keys = request.host_k(context.op.layer);
  const Tokens first = context.op.work.first_token;
  const float* query = request.exchange(context.op.work.buffer).query;
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  context.team.parallel(context.op.work.tokens, kScanGrain, [&](int, std::int64_t begin, std::int64_t end) {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      kernels::logits(kv_type_, query + static_cast<std::int64_t>(head) * group * shape_.head_dim, group,
                      shape_.head_dim, keys.head(head, head_row_) + (first + begin) * head_row_, end - begin,
                      scale_, request.host_scores + head * group * request.size().host_tokens + begin,
                      request.size().host_tokens);
      walked += end - begin;
    }
  });
  context.bytes.access(plan_.host_k(context.op.layer), walked * head_row_);
}

void HostOps::pack(const OpContext& context, RequestBuffers& request) const {
  const int group = shape_.group();
  const bool keys = context.op.kind == OpKind::pack_keys;
  Exchange& exchange = request.exchange(context.op.work.buffer);
  const std::int64_t stride = request.size().exchange_rows_per_head;
  const RowStore& store = keys ? request.host_k(context.op.layer) : request.host_v(context.op.layer);
  std::byte* target = keys ? exchange.packed_keys : exchange.packed;
  const Tokens first = context.op.work.first_token;  // the chosen rows count from here
  const std::int64_t heads = packed_heads(shape_, plan_);
  std::vector<std::int64_t>& offsets = exchange.offsets;
  for (std::size_t i = 0; i < static_cast<std::size_t>(heads); ++i) {
    offsets[i + 1] = offsets[i] + exchange.counts[i * static_cast<std::size_t>(plan_.exchange_group)];
  }
  // Shared by rows, not by heads: eight KV heads would leave half of fifteen threads without work.
  const std::span<const std::int64_t> bounds(offsets.data(), static_cast<std::size_t>(heads) + 1);
  context.team.parallel(bounds.back(), kPackGrain, [&](int, std::int64_t begin, std::int64_t end) {
    each_head(bounds, begin, end, [&](std::int64_t packed, std::int64_t from, std::int64_t count) {
      const std::int64_t head = packed * plan_.exchange_group;
      const kernels::RowSpan span{store.head(static_cast<int>(head) / group, head_row_) + first * head_row_,
                                  store.slots - first};
      kernels::pack_rows(kv_type_, shape_.head_dim, &span, 1, exchange.rows + head * stride + from, count,
                         target + (bounds[static_cast<std::size_t>(packed)] + from) * head_row_);
    });
  });
  const int layer = context.op.layer;
  context.bytes.access(keys ? plan_.host_k(layer) : plan_.host_v(layer), exchange.rows_up() * head_row_);
  context.bytes.access(plan_.exchange_tier, exchange.rows_up() * head_row_);
}

// Each thread walks its share of the tokens grain by grain and joins the grains' partials; the threads'
// partials are joined in their order, so that a run repeats bit by bit.
void HostOps::host_attend(const OpContext& context, RequestBuffers& request) const {
  const int group = shape_.group();
  const RowStore& keys = request.host_k(context.op.layer);
  const RowStore& values = request.host_v(context.op.layer);
  const float* query = request.exchange(context.op.work.buffer).query;
  const int threads = context.team.threads();
  const std::int64_t stride = ThreadPartial::floats(shape_);
  request.partials.resize(static_cast<std::size_t>(threads * stride));  // grows with the first op only
  const auto part_of = [&](int thread) {
    return ThreadPartial(shape_, request.partials.data() + thread * stride);
  };
  for (int thread = 0; thread < threads; ++thread) {
    const Partial part = part_of(thread).joined;
    std::fill_n(part.out, shape_.q_width(), 0.0F);
    std::fill_n(part.lse, shape_.query_heads, -std::numeric_limits<float>::infinity());
  }
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  context.team.parallel(
      context.op.work.tokens, kScanGrain, [&](int thread, std::int64_t begin, std::int64_t end) {
        const ThreadPartial part = part_of(thread);
        for (int head = 0; head < shape_.kv_heads; ++head) {
          const std::int64_t first = static_cast<std::int64_t>(head) * group;
          for (std::int64_t at = begin; at < end; at += kAttendGrain) {
            const kernels::KvSpan span{keys.head(head, head_row_) + at * head_row_,
                                       values.head(head, head_row_) + at * head_row_,
                                       std::min(kAttendGrain, end - at)};
            kernels::attend(kv_type_, query + first * shape_.head_dim, group, shape_.head_dim, &span, 1,
                            scale_, part.scratch, part.grain.out, part.grain.lse);
            kernels::merge_partials(group, shape_.head_dim, part.joined.out + first * shape_.head_dim,
                                    part.joined.lse + first, part.grain.out, part.grain.lse);
          }
          walked += end - begin;
        }
      });
  const Partial& all = request.host_partial;
  std::copy_n(part_of(0).joined.out, shape_.q_width() + shape_.query_heads, all.out);
  for (int thread = 1; thread < threads; ++thread) {
    const Partial part = part_of(thread).joined;
    kernels::merge_partials(shape_.query_heads, shape_.head_dim, all.out, all.lse, part.out, part.lse);
  }
  context.bytes.access(plan_.host_k(context.op.layer), walked * head_row_);
  context.bytes.access(plan_.host_v(context.op.layer), walked * head_row_);
}

}  // namespace hybridgen
