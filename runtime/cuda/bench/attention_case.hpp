// One request's ring on the card and a query, all random: what the checks of attention share.
#pragma once

#include <vector>

#include "runtime/cuda/bench/check_data.hpp"
#include "runtime/cuda/bench/kernel_checks.hpp"
#include "runtime/cuda/kernels/partials.hpp"
#include "runtime/kernels/attend.hpp"

namespace hybridgen::cuda {

class AttentionCase {
 public:
  explicit AttentionCase(const CheckShape& shape)
      : data(shape.seed),
        type(shape.kv_type),
        heads{shape.group * kKvHeads, kKvHeads, shape.head_dim},
        slots(data.between(1, static_cast<int>(shape.most_tokens))),
        splits(data.between(1, 9)),
        op(1),
        k(data.rows(type, kKvHeads * slots * shape.head_dim)),
        v(data.rows(type, kKvHeads * slots * shape.head_dim)),
        pieces_(partial_floats(heads.query_heads, splits + 1, shape.head_dim)),
        arrived_(heads.query_heads) {
    op[0].context = data.between(1, static_cast<int>(2 * slots));
    op[0].tokens = std::min<std::int64_t>(data.between(1, static_cast<int>(slots)), op[0].context);
  }

  static constexpr int kKvHeads = 2;
  Data data;
  KvType type;
  HeadShape heads;
  std::int64_t slots;
  int splits;
  Array<OpParams> op;
  Rows k, v;

  int dim() const { return heads.head_dim; }
  float scale() const { return 1.0F / std::sqrt(static_cast<float>(dim())); }
  int row_bytes() const { return static_cast<int>(kernels::row_bytes(type, dim())); }
  KvStore store() const { return {k.get(), v.get(), slots}; }
  PartialSpace space() const { return {pieces_.get(), arrived_.get()}; }
  // Slot of row i of the newest op->tokens; first element of that row as query head `head` sees it.
  std::int64_t slot(std::int64_t i) const { return (op[0].context - op[0].tokens + i) % slots; }
  std::int64_t row(int head, std::int64_t i) const {
    return (head / heads.group() * slots + slot(i)) * dim();
  }
  double logit(const float* q, int head, std::int64_t i) const {
    double sum = 0;
    for (int d = 0; d < dim(); ++d) sum += static_cast<double>(q[d]) * k.at(row(head, i) + d);
    return sum * scale();
  }
  // The sum of the logit's products' sizes.
  double sizes(const float* q, int head, std::int64_t i) const {
    double sum = 0;
    for (int d = 0; d < dim(); ++d) sum += std::abs(static_cast<double>(q[d]) * k.at(row(head, i) + d));
    return sum * scale();
  }

  // The ring's rows in token order, as the host's kernels take them: before the wrap and behind it.
  std::vector<kernels::KvSpan> spans(int kv_head) const {
    const std::int64_t first = slot(0);
    const std::int64_t before = std::min(op[0].tokens, slots - first);
    const auto at = [&](const Rows& rows, std::int64_t s) {
      return rows.get() + (kv_head * slots + s) * row_bytes();
    };
    return {{at(k, first), at(v, first), before}, {at(k, 0), at(v, 0), op[0].tokens - before}};
  }

  // One row of a softmax that is given: its logit, and where its values start.
  struct Row {
    double logit;
    const Rows* values;
    std::int64_t at;
  };
  // out[d] against the fp64 softmax over the rows; 0 is wanted of no rows.
  void compare(const float* out, const std::vector<Row>& rows, Worst& worst) const {
    double max = -HUGE_VAL;
    double weights = 0;
    for (const Row& r : rows) max = std::max(max, r.logit);
    std::vector<double> sum(static_cast<std::size_t>(dim()));
    for (const Row& r : rows) {
      const double weight = std::exp(r.logit - max);
      weights += weight;
      for (int d = 0; d < dim(); ++d) sum[static_cast<std::size_t>(d)] += weight * r.values->at(r.at + d);
    }
    for (int d = 0; d < dim(); ++d)
      worst.add(out[d], rows.empty() ? 0 : sum[static_cast<std::size_t>(d)] / weights);
  }

 private:
  Array<float> pieces_;
  Array<unsigned> arrived_;
};

}  // namespace hybridgen::cuda
