#include "runtime/host/host_ops.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/base/check.hpp"
#include "core/residency/exchange.hpp"
#include "runtime/host/kv_type_of.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/pack.hpp"
#include "runtime/kernels/select.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kScanGrain = 256;  // tokens: long enough that a thread streams

// A thread's part of the attention over the host segment: what it has joined so far, and room for one grain.
struct ThreadPartial {
  Partial joined;  // all query heads
  Partial grain;   // one group
  float* scratch;

  static std::int64_t floats(const ModelShape& shape) {
    return shape.q_width() + shape.query_heads +
           static_cast<std::int64_t>(shape.group()) * (shape.head_dim + 1) +
           kernels::attend_scratch(shape.group(), kScanGrain);
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

std::size_t HostOps::select_scratch(const SlotPlan& slot, int threads) {
  return static_cast<std::size_t>(threads * kernels::select_scratch(slot.host_tokens));
}

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

std::int64_t HostOps::select(const OpContext& context, RequestBuffers& request) const {
  Exchange& exchange = request.exchange(context.op.work.buffer);
  choose(context, request);
  if (plan_.exchange_group > 1) {
    unite_groups(context, request);
  } else {
    // Each head wrote at its bound; closing the gaps lets the transfer be one copy.
    const std::int64_t stride = request.size().exchange_rows_per_head;
    std::int64_t total = 0;
    for (std::int64_t head = 0; head < shape_.query_heads; ++head) {
      const std::int64_t count = exchange.counts[static_cast<std::size_t>(head)];
      std::copy_n(exchange.chosen_scores + head * stride, count, exchange.chosen_scores + total);
      total += count;
    }
  }
  return context.op.produces.valid() ? exchange.rows_up() : 0;
}

// Every query head's own rows.
void HostOps::choose(const OpContext& context, RequestBuffers& request) const {
  const Work& work = context.op.work;
  Exchange& exchange = request.exchange(work.buffer);
  const std::int64_t bound = std::min(work.rows_per_head, work.tokens);
  const std::int64_t stride = request.size().exchange_rows_per_head;
  context.team.parallel(shape_.query_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    std::uint32_t* scratch =
        request.scratch.data() + thread * kernels::select_scratch(request.size().host_tokens);
    for (std::int64_t head = begin; head < end; ++head) {
      const float* scores = request.host_scores + head * request.size().host_tokens;
      std::int32_t* rows = exchange.rows + head * stride;
      float* chosen = exchange.chosen_scores + head * stride;
      std::int64_t& count = exchange.counts[static_cast<std::size_t>(head)];
      if (work.rule == SelectRule::threshold) {
        count = kernels::select_threshold(scores, work.tokens, static_cast<float>(work.alpha_milli) / 1000.0F,
                                          bound, scratch, rows, chosen);
      } else if (bound < work.tokens) {
        count = kernels::select_top_k(scores, work.tokens, bound, scratch, rows, chosen);
      } else {
        std::iota(rows, rows + work.tokens, 0);
        std::copy_n(scores, work.tokens, chosen);
        count = work.tokens;
      }
    }
  });
}

// The rows that any head of a group chose enter the softmax of all its heads, with each head's own logits.
void HostOps::unite_groups(const OpContext& context, RequestBuffers& request) const {
  Exchange& exchange = request.exchange(context.op.work.buffer);
  const std::int64_t group = plan_.exchange_group;
  const std::int64_t stride = request.size().exchange_rows_per_head;
  const std::int64_t groups = shape_.query_heads / group;
  context.team.parallel(groups, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    std::uint32_t* scratch =
        request.scratch.data() + thread * kernels::select_scratch(request.size().host_tokens);
    for (std::int64_t head = begin * group; head < end * group; head += group) {
      std::int64_t* counts = exchange.counts.data() + head;
      const std::int64_t count =
          kernels::unite_rows(exchange.rows + head * stride, stride, counts, static_cast<int>(group),
                              context.op.work.tokens, scratch);
      std::fill_n(counts, group, count);
    }
  });
  std::vector<std::int64_t>& offsets = exchange.offsets;
  std::partial_sum(exchange.counts.begin(), exchange.counts.end(), offsets.begin() + 1);
  context.team.parallel(shape_.query_heads, 1, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin; head < end; ++head) {
      const auto at = static_cast<std::size_t>(head);
      const std::int32_t* rows = exchange.rows_of(head, stride);
      const float* scores = request.host_scores + head * request.size().host_tokens;
      float* chosen = exchange.chosen_scores + offsets[at];
      for (std::int64_t i = 0; i < exchange.counts[at]; ++i) chosen[i] = scores[rows[i]];
    }
  });
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
  context.team.parallel(heads, 1, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t packed = begin; packed < end; ++packed) {
      const auto index = static_cast<std::size_t>(packed);
      const std::int64_t head = packed * plan_.exchange_group;
      const kernels::RowSpan span{store.head(static_cast<int>(head) / group, head_row_) + first * head_row_,
                                  store.slots - first};
      kernels::pack_rows(kv_type_, shape_.head_dim, &span, 1, exchange.rows + head * stride,
                         offsets[index + 1] - offsets[index], target + offsets[index] * head_row_);
    }
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
          for (std::int64_t at = begin; at < end; at += kScanGrain) {
            const kernels::KvSpan span{keys.head(head, head_row_) + at * head_row_,
                                       values.head(head, head_row_) + at * head_row_,
                                       std::min(kScanGrain, end - at)};
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
