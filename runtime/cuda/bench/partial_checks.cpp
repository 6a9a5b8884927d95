// Checks of the kernels that choose host rows by a few columns of K: against the host's rules for pools and a
// threshold, and fp64.
#include <numeric>

#include "runtime/cuda/bench/attention_case.hpp"
#include "runtime/cuda/kernels/fetched.cuh"
#include "runtime/cuda/kernels/partial_keys.cuh"
#include "runtime/host/partial_keys.hpp"
#include "runtime/kernels/select.hpp"

namespace hybridgen::cuda {
namespace {

using Row = AttentionCase::Row;

constexpr double kExact = 0;
constexpr double kFp32Bound = 1e-5;
constexpr int kKvHeads = AttentionCase::kKvHeads;

// A layer's partial keys of one slot over the case's store, whose slots are positions.
struct PartialCase {
  explicit PartialCase(const CheckShape& shape)
      : c(shape),
        slots(c.slots + 2),
        skew(c.data.floats(kKvHeads * c.dim() * c.dim(), 0.2F)),
        weights(kKvHeads * c.dim()),
        columns(c.data.between(1, c.dim() / 4)),
        width((columns + 15) / 16 * 16),
        chosen_skew(kKvHeads * columns * c.dim()),
        keys(c.type, kKvHeads * slots * width),
        rows(4 * kKvHeads * slots),
        heads(3 * kKvHeads) {}

  PartialStore store() const {
    const std::int64_t n = kKvHeads * slots;
    return {chosen_skew.get(),
            keys.get(),
            {rows.get(), rows.get() + n, rows.get() + 2 * n, rows.get() + 3 * n, heads.get(),
             heads.get() + kKvHeads, heads.get() + 2 * kKvHeads},
            slots,
            columns,
            width};
  }
  void take(std::int64_t first, std::int64_t tokens, const float* q, std::int64_t most, PoolEviction evict) {
    c.op[0].first_token = first;
    c.op[0].tokens = tokens;
    partial_keys({c.op.get(), first == 0, store(), c.store(), c.heads, c.type, q,
                  c.heads.query_heads * c.dim(), skew.get(), weights.get(), most, evict},
                 2, nullptr);
    finish();
  }

  AttentionCase c;
  std::int64_t slots;
  Array<float> skew;  // [kv_head][column][head_dim]
  Array<double> weights;
  int columns, width;
  Array<float> chosen_skew;
  Rows keys;
  Array<std::int32_t> rows, heads;
};

// The columns, best first, by the sum of |q A|.
std::vector<int> best_columns(const PartialCase& p, const Array<float>& q, std::int64_t prompt, int kv_head) {
  const int dim = p.c.dim();
  std::vector<double> weight(static_cast<std::size_t>(dim));
  for (int column = 0; column < dim; ++column) {
    for (std::int64_t t = 0; t < prompt; ++t) {
      for (int h = kv_head * p.c.heads.group(); h < (kv_head + 1) * p.c.heads.group(); ++h) {
        double product = 0;
        for (int d = 0; d < dim; ++d) {
          product += static_cast<double>(q[(t * p.c.heads.query_heads + h) * dim + d]) *
                     p.skew[(static_cast<std::int64_t>(kv_head) * dim + column) * dim + d];
        }
        weight[static_cast<std::size_t>(column)] += std::abs(product);
      }
    }
  }
  std::vector<int> order(weight.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return weight[static_cast<std::size_t>(a)] > weight[static_cast<std::size_t>(b)];
  });
  return order;
}

// A prompt, then token by token into a pool that is soon full: the same slots as the host's pool gives.
CheckError check_partial_keys(const CheckShape& shape) {
  PartialCase p(shape);
  AttentionCase& c = p.c;
  const int dim = c.dim();
  const std::int64_t prompt = std::min<std::int64_t>(c.data.between(1, static_cast<int>(c.slots)), 40);
  const std::int64_t most = shape.seed % 3 == 0 ? 0 : std::max<std::int64_t>(1, prompt / 2);
  const auto evict = static_cast<PoolEviction>(shape.seed % 3);
  const Array<float> q = c.data.floats(prompt * c.heads.query_heads * dim);
  std::vector<hybridgen::PoolHead> pools(kKvHeads, hybridgen::PoolHead(p.slots));
  double wrong = 0;
  for (std::int64_t first = 0; first < c.slots; first += first == 0 ? prompt : 1) {
    p.take(first, first == 0 ? prompt : 1, q.get(), most, evict);
    for (int head = 0; head < kKvHeads; ++head) {
      hybridgen::PoolHead& pool = pools[static_cast<std::size_t>(head)];
      Tokens slot = 0;
      for (std::int64_t i = 0; i < (first == 0 ? prompt : 1); ++i)
        slot = pool.insert(first + i, first == 0 ? 0 : most, evict);
      wrong += p.store().pool.newest[head] != slot;
      for (std::int64_t s = 0; s < p.slots; ++s) {
        wrong += p.store().pool.position[head * p.slots + s] != pool.position(s);
        if (s % 5 != first % 5 || pool.position(s) < 0) continue;
        pool.read(s, first);  // some rows are read, so that lru and counter have something to go by
        ++p.store().pool.reads[head * p.slots + s];
        p.store().pool.last[head * p.slots + s] = static_cast<std::int32_t>(first);
      }
    }
  }
  Worst stored;
  for (int head = 0; head < kKvHeads; ++head) {
    const std::vector<int> order = best_columns(p, q, prompt, head);
    for (std::int64_t slot = 0; slot < p.slots; ++slot) {
      const std::int64_t position = p.store().pool.position[head * p.slots + slot];
      for (int i = 0; position >= 0 && i < p.width; ++i) {
        double sum = 0;
        for (int d = 0; i < p.columns && d < dim; ++d) {
          const std::int64_t column = head * dim + order[static_cast<std::size_t>(i)];
          sum +=
              static_cast<double>(c.k.at((head * c.slots + position) * dim + d)) * p.skew[column * dim + d];
        }
        stored.add(p.keys.at((head * p.slots + slot) * p.width + i), sum);
      }
    }
  }
  const double allowed = c.type == KvType::f32 ? 1e-5 : c.type == KvType::f16 ? 2e-3 : 1e-2;
  return {wrong + (stored.value() > allowed ? 1 : 0), std::nullopt};
}

// The mean of what a threshold gives per head, and the best rows of each.
CheckError check_partial_select(const CheckShape& shape) {
  PartialCase p(shape);
  AttentionCase& c = p.c;
  const int heads = c.heads.query_heads;
  const Array<float> q = c.data.floats(40 * heads * c.dim());
  const std::int64_t prompt = std::min<std::int64_t>(c.slots, 40);
  p.take(0, prompt, q.get(), 0, PoolEviction::counter);
  const Array<float> predicted = c.data.floats(heads * c.dim());
  const Array<float> skewed(heads * p.width), scores(heads * p.slots);
  const Array<unsigned> passing(1);
  const Array<std::int32_t> chosen(heads * p.slots), count(1);
  const auto alpha = 0.1F * static_cast<float>(c.data.between(0, 30));
  OpParams& op = c.op[0];
  op.first_token = 1000;
  op.tokens = prompt + 1;  // the last slot is free
  op.rows_per_head = c.data.between(1, static_cast<int>(prompt));
  partial_select({c.op.get(), p.store(), c.heads, c.type, predicted.get(), c.scale(), alpha, c.splits,
                  skewed.get(), scores.get(), passing.get(), chosen.get(), p.slots, count.get()},
                 nullptr);
  finish();
  Worst fp64;
  double wrong = 0;
  std::int64_t total = 0;
  for (int h = 0; h < heads; ++h) {
    const int kv_head = h / c.heads.group();
    const float* own = scores.get() + h * p.slots;
    for (std::int64_t slot = 0; slot < prompt; ++slot) {
      double sum = 0;
      for (int i = 0; i < p.columns; ++i) {
        double skewed_q = 0;
        for (int d = 0; d < c.dim(); ++d) {
          skewed_q += static_cast<double>(predicted[h * c.dim() + d]) *
                      p.chosen_skew[(static_cast<std::int64_t>(kv_head) * p.columns + i) * c.dim() + d];
        }
        sum += skewed_q * p.keys.at((kv_head * p.slots + slot) * p.width + i);
      }
      fp64.add(own[slot], sum * c.scale());
    }
    wrong += own[prompt] != -HUGE_VALF;
    const float least = *std::max_element(own, own + prompt) - alpha;
    total += std::count_if(own, own + prompt, [=](float x) { return x >= least; });
  }
  const std::int64_t wanted = std::min<std::int64_t>(total / heads, op.rows_per_head);
  wrong += count[0] != wanted;
  std::vector<std::int32_t> expected(static_cast<std::size_t>(p.slots));
  std::vector<float> values(expected.size());
  std::vector<std::uint32_t> words(static_cast<std::size_t>(kernels::select_scratch(p.slots)));
  std::vector<int> reads(static_cast<std::size_t>(kKvHeads * p.slots));
  for (int h = 0; h < heads; ++h) {
    kernels::select_top_k(scores.get() + h * p.slots, op.tokens, wanted, words.data(), expected.data(),
                          values.data());
    for (std::int64_t i = 0; i < wanted; ++i) {
      wrong += chosen[h * p.slots + i] != expected[static_cast<std::size_t>(i)];
      ++reads[static_cast<std::size_t>(h / c.heads.group() * p.slots +
                                       expected[static_cast<std::size_t>(i)])];
    }
  }
  for (std::size_t i = 0; i < reads.size(); ++i) {
    wrong += p.store().pool.reads[i] != reads[i];
    wrong += p.store().pool.last[i] != (reads[i] > 0 ? 1000 : -1);
  }
  return {std::max(fp64.value(), wrong), std::nullopt};
}

// The choice goes down, the new row into the pool, and each head attends to its rows and the new one.
CheckError check_fetched(const CheckShape& shape) {
  AttentionCase c(shape);
  const int heads = c.heads.query_heads;
  const Array<std::int32_t> count(1), host_count(1), newest(kKvHeads);
  count[0] = c.data.between(0, 90);
  const std::int64_t stride = count[0] + 3;
  const Array<std::int32_t> chosen(heads * stride), host_rows(heads * stride);
  for (std::int64_t i = 0; i < heads * stride; ++i) chosen[i] = c.data.between(0, 1000);
  send_choice({count.get(), chosen.get(), stride, heads, host_count.get(), host_rows.get()}, 2, nullptr);
  OpParams& op = c.op[0];
  op.first_token = c.data.between(0, static_cast<int>(c.slots) - 1);
  const std::int64_t pool = 7;
  for (int head = 0; head < kKvHeads; ++head) newest[head] = c.data.between(0, static_cast<int>(pool) - 1);
  const Rows pool_k(c.type, kKvHeads * pool * c.dim()), pool_v(c.type, kKvHeads * pool * c.dim());
  pool_row({c.op.get(), c.store(), {pool_k.get(), pool_v.get(), pool}, newest.get(), kKvHeads, c.row_bytes()},
           nullptr);
  const Rows keys = c.data.rows(c.type, (heads * count[0] + 1) * c.dim());
  const Rows values = c.data.rows(c.type, (heads * count[0] + 1) * c.dim());
  const Array<float> q = c.data.floats(heads * c.dim());
  const Array<float> out(heads * c.dim());
  attend_fetched({c.op.get(), count.get(), keys.get(), values.get(), c.store(), c.heads, c.type, q.get(),
                  c.scale(), c.space(), c.splits, out.get()},
                 nullptr);
  finish();
  double wrong = host_count[0] != count[0];
  for (int h = 0; h < heads; ++h) {
    for (std::int64_t i = 0; i < stride; ++i) {
      wrong += host_rows[h * stride + i] != (i < count[0] ? chosen[h * stride + i] : 0);
    }
  }
  for (int head = 0; head < kKvHeads; ++head) {
    for (std::int64_t i = 0; i < pool * c.dim(); ++i) {
      const std::int64_t from = (head * c.slots + op.first_token) * c.dim() + i % c.dim();
      const bool there = i / c.dim() == newest[head];
      wrong += pool_k.at(head * pool * c.dim() + i) != (there ? c.k.at(from) : 0);
      wrong += pool_v.at(head * pool * c.dim() + i) != (there ? c.v.at(from) : 0);
    }
  }
  Worst fp64;
  for (int h = 0; h < heads; ++h) {
    std::vector<Row> rows;
    const auto add = [&](const Rows& k, const Rows& v, std::int64_t at) {
      double logit = 0;
      for (int d = 0; d < c.dim(); ++d) logit += static_cast<double>(q[h * c.dim() + d]) * k.at(at + d);
      rows.push_back({logit * c.scale(), &v, at});
    };
    for (std::int64_t i = 0; i < count[0]; ++i) add(keys, values, (h * count[0] + i) * c.dim());
    add(c.k, c.v, (h / c.heads.group() * c.slots + op.first_token) * c.dim());
    c.compare(out.get() + h * c.dim(), rows, fp64);
  }
  return {std::max(fp64.value(), wrong), std::nullopt};
}

}  // namespace

std::vector<KernelCheck> partial_checks() {
  return {
      {"partial_keys", "columns, slots of a pool, keys", kExact, true, check_partial_keys},
      {"partial_select", "the mean of a threshold, the best rows", kFp32Bound, true, check_partial_select},
      {"fetched", "a choice down, a row into the pool, attention", kFp32Bound, true, check_fetched},
  };
}

}  // namespace hybridgen::cuda
