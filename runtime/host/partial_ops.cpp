#include "runtime/host/partial_ops.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/base/check.hpp"
#include "core/policy/model_ops.hpp"
#include "runtime/host/kv_type_of.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/select.hpp"

namespace hybridgen {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

}  // namespace

PartialOps::PartialOps(const ModelWeights& weights, const MemoryPlan& plan, int threads)
    : weights_(weights),
      shape_(weights.shape),
      plan_(plan),
      kv_type_(kv_type_of(plan.kv_dtype)),
      head_row_(head_row_bytes(shape_, plan.kv_dtype)),
      width_(partial_width(plan.partial.columns)),
      key_row_(row_bytes(plan.kv_dtype, width_)),
      scale_(1.0F / std::sqrt(static_cast<float>(shape_.head_dim))) {
  if (plan.partial.columns == 0) return;
  const std::int64_t floats =
      std::max<std::int64_t>({shape_.head_dim + width_, shape_.group() * width_,
                              kernels::attend_scratch(1, plan.exchange_rows_per_head + 1)});
  scratch_.resize(static_cast<std::size_t>(threads));
  for (Scratch& each : scratch_) {
    each.floats.resize(static_cast<std::size_t>(floats));
    each.values.resize(static_cast<std::size_t>(plan.pool_slots));
    each.slots.resize(static_cast<std::size_t>(plan.pool_slots));
    each.words.resize(static_cast<std::size_t>(kernels::select_scratch(plan.pool_slots)));
  }
}

std::int64_t PartialOps::run(const OpContext& context, const PartialRequest& request) {
  switch (context.op.kind) {
    case OpKind::partial_keys:
      partial_keys(context, request);
      return 0;
    case OpKind::partial_select:
      return partial_select(context, request);
    case OpKind::send_choice:
      send_choice(context, request);
      return 0;
    case OpKind::pool_row:
      pool_row(context, request);
      return 0;
    case OpKind::attend_fetched:
      attend_fetched(context, request);
      return 0;
    default:
      HG_CHECK(false, "op " << context.op.id.value << " (" << name_of(context.op.kind)
                            << ") is none of partial keys");
  }
  return 0;
}

void PartialOps::copy_column(int layer, int kv_head, int column, float* to) const {
  const float* skew = weights_.layers.at(static_cast<std::size_t>(layer)).skew;
  const std::int64_t dim = shape_.head_dim;
  if (skew != nullptr) {
    std::copy_n(skew + (kv_head * dim + column) * dim, dim, to);
  } else {
    std::fill_n(to, dim, 0.0F);
    to[column] = 1.0F;
  }
}

// Those with the largest sum of |q A| over the prompt and the KV head's query heads, the largest first.
void PartialOps::choose_columns(const OpContext& context, const PartialRow& row, int kv_head,
                                float* skew) const {
  const int dim = shape_.head_dim;
  std::vector<double> weight(static_cast<std::size_t>(dim));
  std::vector<float> column(weight.size());
  for (int c = 0; c < dim; ++c) {
    copy_column(context.op.layer, kv_head, c, column.data());
    for (Tokens t = 0; t < context.op.work.tokens; ++t) {
      for (int head = kv_head * shape_.group(); head < (kv_head + 1) * shape_.group(); ++head) {
        const float* q = row.query + t * row.stride + static_cast<std::int64_t>(head) * dim;
        weight[static_cast<std::size_t>(c)] +=
            std::abs(static_cast<double>(kernels::dot(q, column.data(), dim)));
      }
    }
  }
  std::vector<int> order(weight.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return weight[static_cast<std::size_t>(a)] > weight[static_cast<std::size_t>(b)];
  });
  for (std::int64_t c = 0; c < plan_.partial.columns; ++c) {
    copy_column(context.op.layer, kv_head, order[static_cast<std::size_t>(c)], skew + c * dim);
  }
}

// scratch: [head_dim + width].
void PartialOps::keep_key(const void* key, const float* skew, std::byte* to, float* scratch) const {
  float* partial = scratch + shape_.head_dim;
  kernels::load_rows(kv_type_, shape_.head_dim, key, scratch, 1);
  std::fill_n(partial, width_, 0.0F);
  for (int c = 0; c < plan_.partial.columns; ++c) {
    partial[c] =
        kernels::dot(scratch, skew + static_cast<std::int64_t>(c) * shape_.head_dim, shape_.head_dim);
  }
  kernels::store_rows(kv_type_, width_, partial, to, 1);
}

// A prompt chooses the columns; then every new row gets its slot in the pool, and its partial K there. A
// prompt's rows all find room.
void PartialOps::partial_keys(const OpContext& context, const PartialRequest& request) {
  const Work& work = context.op.work;
  PartialKeys::Layer& of = request.partial.layer(context.op.layer);
  const RowStore& keys = request.buffers.device_k(KvPlace::staging, context.op.layer, work.buffer);
  const bool prompt = work.first_token == 0;
  const std::int64_t columns = plan_.partial.columns;
  std::atomic<Bytes> moved{0};
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    float* scratch = scratch_[static_cast<std::size_t>(thread)].floats.data();
    for (int head = static_cast<int>(begin); head < end; ++head) {
      PoolHead& pool = of.pool[static_cast<std::size_t>(head)];
      float* skew = of.skew + head * columns * shape_.head_dim;
      if (prompt) {
        choose_columns(context, request.row, head, skew);
        pool.clear();
      }
      for (Tokens p = work.first_token; p < work.first_token + work.tokens; ++p) {
        const Tokens slot = pool.insert(p, prompt ? 0 : plan_.partial.pool_tokens, plan_.partial.evict);
        of.newest[static_cast<std::size_t>(head)] = slot;
        keep_key(keys.head(head, head_row_) + p * head_row_, skew,
                 of.keys + (head * request.partial.slots() + slot) * key_row_, scratch);
      }
      moved += work.tokens * (head_row_ + key_row_);
      moved += (prompt ? shape_.head_dim : columns) * shape_.head_dim * kSkewBytes;
    }
  });
  context.bytes.access(plan_.device_tier, moved);
}

// Of all slots and the KV head's query heads; free slots lie at the bottom. skewed: [group][width].
void PartialOps::score(const OpContext& context, const PartialRequest& request, int kv_head,
                       float* skewed) const {
  const std::int64_t dim = shape_.head_dim, columns = plan_.partial.columns, group = shape_.group();
  const PartialKeys::Layer& of = request.partial.layer(context.op.layer);
  const Tokens slots = context.op.work.tokens, stride = request.partial.slots();
  std::fill_n(skewed, group * width_, 0.0F);
  for (std::int64_t g = 0; g < group; ++g) {
    const float* q = request.row.predicted + (kv_head * group + g) * dim;
    for (std::int64_t c = 0; c < columns; ++c) {
      skewed[g * width_ + c] = kernels::dot(q, of.skew + (kv_head * columns + c) * dim, dim);
    }
  }
  float* scores = request.buffers.device_scores + kv_head * group * stride;
  kernels::logits(kv_type_, skewed, static_cast<int>(group), width_, of.keys + kv_head * stride * key_row_,
                  slots, scale_, scores, stride);
  const PoolHead& pool = of.pool[static_cast<std::size_t>(kv_head)];
  if (pool.rows() == slots) return;
  for (Tokens slot = 0; slot < slots; ++slot) {
    if (pool.position(slot) >= 0) continue;
    for (std::int64_t g = 0; g < group; ++g) scores[g * stride + slot] = kLowest;
  }
}

// The `count` slots with the largest scores of a query head; of equal scores the older row.
void PartialOps::take_best(const OpContext& context, const PartialRequest& request, int head,
                           std::int64_t count, Scratch& scratch) const {
  const Tokens slots = context.op.work.tokens;
  const float* scores = request.buffers.device_scores + head * request.partial.slots();
  PoolHead& pool =
      request.partial.layer(context.op.layer).pool[static_cast<std::size_t>(head / shape_.group())];
  std::int32_t* chosen = request.buffers.exchange(context.op.work.buffer).device_rows +
                         head * request.buffers.size().exchange_rows_per_head;
  if (plan_.partial.pool_tokens == 0) {  // a slot is its row's position
    kernels::select_top_k(scores, slots, count, scratch.words.data(), chosen, scratch.values.data());
  } else {
    std::int32_t* order = scratch.slots.data();
    std::iota(order, order + slots, 0);
    std::partial_sort(order, order + count, order + slots, [&](std::int32_t a, std::int32_t b) {
      return scores[a] != scores[b] ? scores[a] > scores[b] : pool.position(a) < pool.position(b);
    });
    std::copy_n(order, count, chosen);
  }
  for (std::int64_t i = 0; i < count; ++i) pool.read(chosen[i], context.op.work.first_token);
}

// As many rows of every query head as lie within alpha of its largest score on average, bounded.
std::int64_t PartialOps::partial_select(const OpContext& context, const PartialRequest& request) {
  const Work& work = context.op.work;
  const float alpha = static_cast<float>(work.alpha_milli) / 1000.0F;
  const int group = shape_.group();
  std::atomic<std::int64_t> passing{0};
  std::atomic<Bytes> moved{0};
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    for (int kv = static_cast<int>(begin); kv < end; ++kv) {
      score(context, request, kv, scratch_[static_cast<std::size_t>(thread)].floats.data());
      moved += work.tokens * key_row_ + plan_.partial.columns * shape_.head_dim * kSkewBytes;
      for (int head = kv * group; head < (kv + 1) * group; ++head) {
        const float* scores = request.buffers.device_scores + head * request.partial.slots();
        const float least = kernels::max_of(scores, work.tokens) - alpha;
        passing += std::count_if(scores, scores + work.tokens, [=](float each) { return each >= least; });
      }
    }
  });
  const std::int64_t count = std::min(passing / shape_.query_heads, work.rows_per_head);
  // By KV head: its query heads share a pool's counters.
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    for (int head = static_cast<int>(begin) * group; head < end * group; ++head) {
      take_best(context, request, head, count, scratch_[static_cast<std::size_t>(thread)]);
    }
  });
  Exchange& exchange = request.buffers.exchange(work.buffer);
  std::fill(exchange.counts.begin(), exchange.counts.end(), count);
  context.bytes.access(plan_.device_tier, moved);
  return shape_.query_heads * count;
}

void PartialOps::send_choice(const OpContext& context, const PartialRequest& request) const {
  const Exchange& exchange = request.buffers.exchange(context.op.work.buffer);
  const std::int64_t stride = request.buffers.size().exchange_rows_per_head;
  Bytes bytes = 0;
  for (std::size_t head = 0; head < exchange.counts.size(); ++head) {
    const auto at = static_cast<std::int64_t>(head) * stride;
    std::copy_n(exchange.device_rows + at, exchange.counts[head], exchange.rows + at);
    bytes += exchange.counts[head] * kIndexBytes;
  }
  context.bytes.copy(plan_.device_tier, plan_.exchange_tier, bytes);
}

// The new token's K and V to the slot that each KV head has for it.
void PartialOps::pool_row(const OpContext& context, const PartialRequest& request) const {
  const Op& op = context.op;
  const RequestBuffers& buffers = request.buffers;
  const Bytes from = op.work.first_token * head_row_;
  for (int head = 0; head < shape_.kv_heads; ++head) {
    const Tokens slot = request.partial.layer(op.layer).newest[static_cast<std::size_t>(head)];
    const auto move = [&](const RowStore& staged, const RowStore& pool, TierId tier, Bytes beside) {
      std::memcpy(pool.head(head, head_row_) + slot * head_row_, staged.head(head, head_row_) + from,
                  static_cast<std::size_t>(head_row_));
      context.bytes.copy(plan_.device_tier, tier, head_row_ + beside);
    };
    move(buffers.device_k(KvPlace::staging, op.layer, op.work.buffer), buffers.host_k(op.layer),
         plan_.host_k(op.layer), kIndexBytes);
    move(buffers.device_v(KvPlace::staging, op.layer, op.work.buffer), buffers.host_v(op.layer),
         plan_.host_v(op.layer), 0);
  }
}

// The true query of each head over its own rows and the new token's.
void PartialOps::attend_fetched(const OpContext& context, const PartialRequest& request) {
  const Op& op = context.op;
  const Exchange& exchange = request.buffers.exchange(op.work.buffer);
  const RowStore& k = request.buffers.device_k(KvPlace::staging, op.layer, op.work.buffer);
  const RowStore& v = request.buffers.device_v(KvPlace::staging, op.layer, op.work.buffer);
  const std::int64_t count = exchange.counts.front();
  const Bytes own = op.work.first_token * head_row_;
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all query heads
  context.team.parallel(shape_.query_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin; head < end; ++head) {
      const int kv = static_cast<int>(head) / shape_.group();
      const Bytes at = head * count * head_row_;
      const kernels::KvSpan spans[2] = {
          {exchange.device_packed_keys + at, exchange.device_packed + at, count},
          {k.head(kv, head_row_) + own, v.head(kv, head_row_) + own, 1}};
      kernels::attend(kv_type_, request.row.query + head * shape_.head_dim, 1, shape_.head_dim, spans, 2,
                      scale_, scratch_[static_cast<std::size_t>(thread)].floats.data(),
                      request.row.attended + head * shape_.head_dim, nullptr);
      walked += count + 1;
    }
  });
  context.bytes.access(plan_.device_tier, 2 * walked * head_row_);
}

}  // namespace hybridgen
