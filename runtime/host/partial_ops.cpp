#include "runtime/host/partial_ops.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/base/check.hpp"
#include "core/policy/model_ops.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/pack.hpp"
#include "runtime/kernels/select.hpp"

namespace hybridgen {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

}  // namespace

PartialOps::PartialOps(const ModelShape& shape, const MemoryPlan& plan, std::vector<const float*> skew,
                       int threads)
    : shape_(shape),
      plan_(plan),
      skew_(std::move(skew)),
      kv_type_(plan.kv_dtype == KvDtype::f16 ? kernels::KvType::f16 : kernels::KvType::f32),
      head_row_(shape.head_dim * bytes_of(plan.kv_dtype)),
      width_(partial_width(plan.partial.columns)),
      key_row_(width_ * bytes_of(plan.kv_dtype)),
      scale_(1.0F / std::sqrt(static_cast<float>(shape.head_dim))) {
  if (plan.partial.columns == 0) return;
  skew_.resize(static_cast<std::size_t>(shape.layers));
  const std::int64_t floats = std::max(static_cast<std::int64_t>(shape.group()) * width_ + shape.head_dim,
                                       kernels::attend_scratch(1, plan.exchange_rows_per_head + 1));
  scratch_.resize(static_cast<std::size_t>(threads));
  for (Scratch& each : scratch_) {
    each.floats.resize(static_cast<std::size_t>(floats));
    each.slots.resize(static_cast<std::size_t>(plan.pool_slots));
    each.values.resize(static_cast<std::size_t>(plan.pool_slots));
    each.words.resize(static_cast<std::size_t>(kernels::select_scratch(plan.pool_slots)));
  }
}

std::int64_t PartialOps::run(const OpContext& context, RequestBuffers& request, PartialStore& store,
                             const PartialRow& row) {
  switch (context.op.kind) {
    case OpKind::partial_keys:
      partial_keys(context, request, store, row);
      return 0;
    case OpKind::partial_select:
      return partial_select(context, store, row);
    case OpKind::send_choice:
      send_choice(context, store);
      return 0;
    case OpKind::pool_row:
      pool_row(context, request, store, row);
      return 0;
    case OpKind::gather_kv:
      gather_kv(context, request, store);
      return 0;
    case OpKind::send_kv:
      send_kv(context, store);
      return 0;
    case OpKind::attend_fetched:
      attend_fetched(context, request, store, row);
      return 0;
    default:
      HG_CHECK(false, "op " << context.op.id.value << " (" << name_of(context.op.kind)
                            << ") guesses nothing a layer ahead");
  }
  return 0;
}

void PartialOps::copy_column(int layer, int head, std::int32_t column, float* to) const {
  const float* skew = skew_[static_cast<std::size_t>(layer)];
  const std::int64_t dim = shape_.head_dim;
  if (skew != nullptr) {
    std::copy_n(skew + (head * dim + column) * dim, dim, to);
    return;
  }
  std::fill_n(to, dim, 0.0F);
  to[column] = 1.0F;
}

// The columns with the largest sum of |q A| over the prompt and the group's query heads.
void PartialOps::choose_columns(int layer, PartialLayer& of, int head, const PartialRow& row) const {
  const int dim = shape_.head_dim, group = shape_.group(), columns = plan_.partial.columns;
  std::vector<double> weight(static_cast<std::size_t>(dim));
  std::vector<float> column(static_cast<std::size_t>(dim));
  for (int c = 0; c < dim; ++c) {
    copy_column(layer, head, c, column.data());
    for (Tokens t = 0; t < row.query_tokens; ++t) {
      for (int g = 0; g < group; ++g) {
        const float* q = row.query + t * row.stride + static_cast<std::int64_t>(head * group + g) * dim;
        weight[static_cast<std::size_t>(c)] +=
            std::abs(static_cast<double>(kernels::dot(q, column.data(), dim)));
      }
    }
  }
  std::vector<std::int32_t> order(static_cast<std::size_t>(dim));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return weight[static_cast<std::size_t>(a)] > weight[static_cast<std::size_t>(b)];
  });
  for (int c = 0; c < columns; ++c) {
    copy_column(layer, head, order[static_cast<std::size_t>(c)],
                of.skew + (static_cast<std::int64_t>(head) * columns + c) * dim);
  }
}

// The prompt chooses the columns; then every new row gets its slot in the pool and its partial K there.
void PartialOps::partial_keys(const OpContext& context, RequestBuffers& request, PartialStore& store,
                              const PartialRow& row) {
  const int dim = shape_.head_dim, columns = plan_.partial.columns;
  PartialLayer& of = store.layer(context.op.layer);
  const RowStore& keys = request.device_k(KvPlace::staging, context.op.layer, context.op.work.buffer);
  const bool prompt = row.first_position == 0;
  std::atomic<Bytes> moved{0};
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    float* k = scratch_[static_cast<std::size_t>(thread)].floats.data();
    float* partial = k + dim;
    for (int head = static_cast<int>(begin); head < end; ++head) {
      PoolHead& pool = of.pool[static_cast<std::size_t>(head)];
      if (prompt) {
        choose_columns(context.op.layer, of, head, row);
        std::fill(pool.position.begin(), pool.position.end(), -1);
        pool.rows = 0;
      }
      const float* skew = of.skew + static_cast<std::int64_t>(head) * columns * dim;
      for (Tokens p = row.first_position; p < row.first_position + row.query_tokens; ++p) {
        const Tokens slot = pool.insert(p, prompt ? 0 : plan_.partial.pool_tokens, plan_.partial.evict);
        of.newest[static_cast<std::size_t>(head)] = slot;
        kernels::load_rows(kv_type_, keys.head(head, head_row_) + p * head_row_, k, dim);
        std::fill_n(partial, width_, 0.0F);
        for (int c = 0; c < columns; ++c) partial[c] = kernels::dot(k, skew + c * dim, dim);
        kernels::store_rows(kv_type_, partial, of.keys + (head * store.slots() + slot) * key_row_, width_);
      }
      moved += row.query_tokens * (head_row_ + key_row_);
      moved += static_cast<Bytes>(prompt ? dim : columns) * dim * static_cast<Bytes>(sizeof(float));
    }
  });
  context.bytes.access(plan_.device_tier, moved);
}

// Scores of a KV head's group over the pool's first `slots` slots, free ones at the bottom.
void PartialOps::score(PartialStore& store, const PartialLayer& of, std::int64_t kv, Tokens slots,
                       const PartialRow& row, int thread) {
  const int dim = shape_.head_dim, columns = plan_.partial.columns, group = shape_.group();
  float* queries = scratch_[static_cast<std::size_t>(thread)].floats.data();
  std::fill_n(queries, group * width_, 0.0F);
  for (int g = 0; g < group; ++g) {
    for (int c = 0; c < columns; ++c) {
      queries[g * width_ + c] =
          kernels::dot(row.predicted + (kv * group + g) * dim, of.skew + (kv * columns + c) * dim, dim);
    }
  }
  float* scores = store.scores + kv * group * store.slots();
  kernels::logits(kv_type_, queries, group, width_, of.keys + kv * store.slots() * key_row_, slots, scale_,
                  scores, store.slots());
  const PoolHead& pool = of.pool[static_cast<std::size_t>(kv)];
  if (pool.rows == slots) return;
  for (Tokens slot = 0; slot < slots; ++slot) {
    if (pool.position[static_cast<std::size_t>(slot)] >= 0) continue;
    for (int g = 0; g < group; ++g) scores[g * store.slots() + slot] = kLowest;
  }
}

// The `count` slots with the largest scores of a query head; of equal scores the older row.
void PartialOps::take_best(const float* scores, const PoolHead& pool, Tokens slots, std::int64_t count,
                           std::int32_t* chosen, Scratch& scratch) const {
  if (plan_.partial.pool_tokens == 0) {  // a slot is its row's position
    kernels::select_top_k(scores, slots, count, scratch.words.data(), chosen, scratch.values.data());
    return;
  }
  std::int32_t* order = scratch.slots.data();
  std::iota(order, order + slots, 0);
  std::partial_sort(order, order + count, order + slots, [&](std::int32_t a, std::int32_t b) {
    const auto at = [&](std::int32_t slot) { return pool.position[static_cast<std::size_t>(slot)]; };
    return scores[a] != scores[b] ? scores[a] > scores[b] : at(a) < at(b);
  });
  std::copy_n(order, count, chosen);
}

// As many rows of every query head as lie within alpha of its largest score on average, bounded.
std::int64_t PartialOps::partial_select(const OpContext& context, PartialStore& store,
                                        const PartialRow& row) {
  const Work& work = context.op.work;
  const Tokens slots = work.tokens;
  const float alpha = static_cast<float>(work.alpha_milli) / 1000.0F;
  const int group = shape_.group(), columns = plan_.partial.columns;
  PartialLayer& of = store.layer(context.op.layer);
  FetchBuffers& fetch = store.fetch(context.op.layer);
  std::atomic<std::int64_t> passing{0};
  std::atomic<Bytes> moved{0};
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    for (std::int64_t kv = begin; kv < end; ++kv) {
      score(store, of, kv, slots, row, thread);
      moved += slots * key_row_ + columns * shape_.head_dim * static_cast<Bytes>(sizeof(float));
      for (int g = 0; g < group; ++g) {
        const float* scores = store.scores + (kv * group + g) * store.slots();
        const float least = kernels::max_of(scores, slots) - alpha;
        passing += std::count_if(scores, scores + slots, [=](float each) { return each >= least; });
      }
    }
  });
  fetch.count = std::min(passing / shape_.query_heads, work.rows_per_head);
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    for (std::int64_t kv = begin; kv < end; ++kv) {
      PoolHead& pool = of.pool[static_cast<std::size_t>(kv)];
      for (std::int64_t head = kv * group; head < (kv + 1) * group; ++head) {
        std::int32_t* chosen = fetch.chosen + head * fetch.count;
        take_best(store.scores + head * store.slots(), pool, slots, fetch.count, chosen,
                  scratch_[static_cast<std::size_t>(thread)]);
        for (std::int64_t i = 0; i < fetch.count; ++i) {
          const auto slot = static_cast<std::size_t>(chosen[i]);
          ++pool.reads[slot];
          pool.last[slot] = static_cast<std::int32_t>(row.first_position);
        }
      }
    }
  });
  context.bytes.access(plan_.device_tier, moved);
  return shape_.query_heads * fetch.count;
}

void PartialOps::send_choice(const OpContext& context, PartialStore& store) {
  FetchBuffers& fetch = store.fetch(context.op.layer);
  const Bytes bytes = shape_.query_heads * fetch.count * static_cast<Bytes>(sizeof(std::int32_t));
  std::memcpy(fetch.host_chosen, fetch.chosen, static_cast<std::size_t>(bytes));
  context.bytes.copy(plan_.device_tier, plan_.host_k_tier, bytes);
}

// The new token's K and V to the slot that each KV head has for it.
void PartialOps::pool_row(const OpContext& context, RequestBuffers& request, PartialStore& store,
                          const PartialRow& row) {
  const Op& op = context.op;
  const PartialLayer& of = store.layer(op.layer);
  const RowStore& from_k = request.device_k(KvPlace::staging, op.layer, op.work.buffer);
  const RowStore& from_v = request.device_v(KvPlace::staging, op.layer, op.work.buffer);
  const RowStore& to_k = request.host_k(op.layer);
  const RowStore& to_v = request.host_v(op.layer);
  const auto bytes = static_cast<std::size_t>(head_row_);
  for (int head = 0; head < shape_.kv_heads; ++head) {
    const Tokens slot = of.newest[static_cast<std::size_t>(head)];
    const Bytes from = row.first_position * head_row_;
    std::memcpy(to_k.head(head, head_row_) + slot * head_row_, from_k.head(head, head_row_) + from, bytes);
    std::memcpy(to_v.head(head, head_row_) + slot * head_row_, from_v.head(head, head_row_) + from, bytes);
    context.bytes.copy(plan_.device_tier, plan_.host_k_tier,
                       head_row_ + static_cast<Bytes>(sizeof(std::int32_t)));  // and the slot's number
    context.bytes.copy(plan_.device_tier, plan_.host_v_tier, head_row_);
  }
}

void PartialOps::gather_kv(const OpContext& context, RequestBuffers& request, PartialStore& store) {
  FetchBuffers& fetch = store.fetch(context.op.layer);
  const RowStore& keys = request.host_k(context.op.layer);
  const RowStore& values = request.host_v(context.op.layer);
  context.team.parallel(shape_.query_heads, 1, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin; head < end; ++head) {
      const int kv = static_cast<int>(head) / shape_.group();
      const std::int32_t* chosen = fetch.host_chosen + head * fetch.count;
      const Bytes at = head * fetch.count * head_row_;
      const kernels::RowSpan k{keys.head(kv, head_row_), keys.slots};
      const kernels::RowSpan v{values.head(kv, head_row_), values.slots};
      kernels::pack_rows(kv_type_, shape_.head_dim, &k, 1, chosen, fetch.count, fetch.keys + at);
      kernels::pack_rows(kv_type_, shape_.head_dim, &v, 1, chosen, fetch.count, fetch.values + at);
    }
  });
  const Bytes bytes = shape_.query_heads * fetch.count * head_row_;
  context.bytes.access(plan_.host_k_tier, bytes);
  context.bytes.access(plan_.host_v_tier, bytes);
  context.bytes.access(plan_.host_k_tier, 2 * bytes);  // written
}

void PartialOps::send_kv(const OpContext& context, PartialStore& store) {
  FetchBuffers& fetch = store.fetch(context.op.layer);
  const Bytes bytes = shape_.query_heads * fetch.count * head_row_;
  std::memcpy(fetch.device_keys, fetch.keys, static_cast<std::size_t>(bytes));
  std::memcpy(fetch.device_values, fetch.values, static_cast<std::size_t>(bytes));
  context.bytes.copy(plan_.host_k_tier, plan_.device_tier, 2 * bytes);
}

// Each query head over its own rows and the new token's, exact logits of the true query.
void PartialOps::attend_fetched(const OpContext& context, RequestBuffers& request, PartialStore& store,
                                const PartialRow& row) {
  const Op& op = context.op;
  const FetchBuffers& fetch = store.fetch(op.layer);
  const RowStore& k = request.device_k(KvPlace::staging, op.layer, op.work.buffer);
  const RowStore& v = request.device_v(KvPlace::staging, op.layer, op.work.buffer);
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all query heads
  context.team.parallel(shape_.query_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin; head < end; ++head) {
      const int kv = static_cast<int>(head) / shape_.group();
      const Bytes at = head * fetch.count * head_row_;
      const Bytes own = row.first_position * head_row_;
      const kernels::KvSpan spans[2] = {{fetch.device_keys + at, fetch.device_values + at, fetch.count},
                                        {k.head(kv, head_row_) + own, v.head(kv, head_row_) + own, 1}};
      kernels::attend(kv_type_, row.query + head * shape_.head_dim, 1, shape_.head_dim, spans, 2, scale_,
                      scratch_[static_cast<std::size_t>(thread)].floats.data(),
                      row.attended + head * shape_.head_dim, nullptr);
      walked += fetch.count + 1;
    }
  });
  context.bytes.access(plan_.device_tier, 2 * walked * head_row_);
}

}  // namespace hybridgen
