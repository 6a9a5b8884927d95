// Checks of the kernels that choose: pages by their bounds, and what a host one layer ahead chose.
#include "runtime/cuda/bench/attention_case.hpp"
#include "runtime/cuda/kernels/lookahead.cuh"
#include "runtime/cuda/kernels/pages.cuh"
#include "runtime/kernels/line_fit.hpp"
#include "runtime/kernels/select.hpp"

namespace hybridgen::cuda {
namespace {

using Row = AttentionCase::Row;

constexpr double kExact = 0;
constexpr double kFp32Bound = 1e-5;

// Pages over the case's store, whose slots are positions.
struct PageCase {
  explicit PageCase(const CheckShape& shape)
      : c(shape),
        page_tokens(c.data.between(1, 20)),
        pages((c.slots + page_tokens - 1) / page_tokens),
        bounds(c.type, AttentionCase::kKvHeads * pages * 2 * c.dim()) {}

  PageStore store() const { return {bounds.get(), pages, page_tokens}; }
  void take(std::int64_t first, std::int64_t tokens) {
    c.op[0].first_token = first;
    c.op[0].tokens = tokens;
    page_bounds({c.op.get(), c.store(), store(), c.heads, c.type}, 2, nullptr);
    finish();
  }

  AttentionCase c;
  std::int64_t page_tokens;
  std::int64_t pages;
  Rows bounds;
};

CheckError check_page_bounds(const CheckShape& shape) {
  PageCase p(shape);
  const std::int64_t prompt = p.c.data.between(1, static_cast<int>(p.c.slots));
  p.take(0, prompt);
  for (std::int64_t token = prompt; token < p.c.slots; ++token) p.take(token, 1);
  const int dim = p.c.dim();
  double wrong = 0;
  for (int head = 0; head < AttentionCase::kKvHeads; ++head) {
    for (std::int64_t page = 0; page < p.pages; ++page) {
      for (int d = 0; d < dim; ++d) {
        float least = HUGE_VALF, largest = -HUGE_VALF;
        for (std::int64_t i = page * p.page_tokens; i < std::min((page + 1) * p.page_tokens, p.c.slots);
             ++i) {
          const float x = p.c.k.at((head * p.c.slots + i) * dim + d);
          least = std::min(least, x);
          largest = std::max(largest, x);
        }
        const std::int64_t at = (head * p.pages + page) * 2 * dim + d;
        wrong += p.bounds.at(at) != least;
        wrong += p.bounds.at(at + dim) != largest;
      }
    }
  }
  return {wrong, std::nullopt};
}

// The chosen ones are the best by the kernel's own bounds, ties included.
CheckError check_select_pages(const CheckShape& shape) {
  PageCase p(shape);
  AttentionCase& c = p.c;
  p.take(0, c.slots);
  const Array<float> q = c.data.floats(c.heads.query_heads * c.dim());
  const Array<float> scores(c.heads.query_heads * p.pages);
  const Array<std::int32_t> chosen(c.heads.query_heads * p.pages);
  const std::int64_t wanted = c.data.between(0, static_cast<int>(p.pages));
  c.op[0].tokens = p.pages * p.page_tokens;
  c.op[0].rows_per_head = wanted * p.page_tokens;
  select_pages({c.op.get(), p.store(), c.heads, c.type, q.get(), c.splits, scores.get(), chosen.get()},
               nullptr);
  finish();
  Worst fp64;
  double wrong = 0;
  std::vector<float> values(static_cast<std::size_t>(p.pages));
  std::vector<std::int32_t> expected(values.size());
  std::vector<std::uint32_t> words(static_cast<std::size_t>(kernels::select_scratch(p.pages)));
  for (int head = 0; head < c.heads.query_heads; ++head) {
    const float* own = scores.get() + head * p.pages;
    for (std::int64_t page = 0; page < p.pages; ++page) {
      const std::int64_t at = (head / c.heads.group() * p.pages + page) * 2 * c.dim();
      double bound = 0;
      for (int d = 0; d < c.dim(); ++d) {
        const double x = q[head * c.dim() + d];
        bound += std::max(x * p.bounds.at(at + d), x * p.bounds.at(at + c.dim() + d));
      }
      fp64.add(own[page], bound);
    }
    kernels::select_top_k(own, p.pages, wanted, words.data(), expected.data(), values.data());
    for (std::int64_t i = 0; i < wanted; ++i)
      wrong += chosen[head * p.pages + i] != expected[static_cast<std::size_t>(i)];
  }
  return {std::max(fp64.value(), wrong), std::nullopt};
}

CheckError check_attend_pages(const CheckShape& shape) {
  PageCase p(shape);
  AttentionCase& c = p.c;
  const std::int64_t last = (p.pages - 1) * p.page_tokens;  // of the new token's page
  const std::int64_t wanted = p.pages > 1 ? c.data.between(0, static_cast<int>(p.pages) - 1) : 0;
  OpParams& op = c.op[0];
  op.first_token = last;
  op.tokens = c.slots - last;
  op.rows_per_head = wanted * p.page_tokens;
  const Array<std::int32_t> chosen(c.heads.query_heads * p.pages);
  for (int head = 0; head < c.heads.query_heads; ++head) {
    const int first =
        c.data.between(0, static_cast<int>(p.pages - 1 - wanted > 0 ? p.pages - 1 - wanted : 0));
    for (std::int64_t i = 0; i < wanted; ++i)
      chosen[head * p.pages + i] = static_cast<std::int32_t>(first + i);
  }
  const Array<float> q = c.data.floats(c.heads.query_heads * c.dim());
  const Array<float> out(c.heads.query_heads * c.dim());
  attend_pages({c.op.get(), c.store(), p.store(), c.heads, c.type, q.get(), c.scale(), chosen.get(),
                c.space(), c.splits, out.get()},
               nullptr);
  finish();
  Worst fp64;
  op.context = op.tokens = c.slots;  // row i of the store is position i, for logit()
  for (int head = 0; head < c.heads.query_heads; ++head) {
    std::vector<Row> rows;
    const auto add = [&](std::int64_t i) {
      rows.push_back({c.logit(q.get() + head * c.dim(), head, i), &c.v, c.row(head, i)});
    };
    for (std::int64_t j = 0; j < wanted * p.page_tokens; ++j) {
      add(chosen[head * p.pages + j / p.page_tokens] * p.page_tokens + j % p.page_tokens);
    }
    for (std::int64_t i = last; i < c.slots; ++i) add(i);
    c.compare(out.get() + head * c.dim(), rows, fp64);
  }
  return {fp64.value(), std::nullopt};
}

// Rows of a head's own, and rows that a group shares.
CheckError check_lookahead(const CheckShape& shape) {
  AttentionCase c(shape);
  const int heads = c.heads.query_heads;
  const int group = shape.seed % 2 == 0 ? 1 : c.heads.group();
  const Array<std::int32_t> offsets(heads + 1);
  int count = 0;
  for (int h = 0; h < heads; ++h) {
    if (h % group == 0) count = c.data.between(0, 80);
    offsets[h + 1] = offsets[h] + count;
  }
  const std::int64_t total = offsets[heads];
  const Rows packed = c.data.rows(c.type, (total / group + 1) * c.dim());
  const Array<float> q = c.data.floats(heads * c.dim());
  const Array<float> scores(total + 1);
  const PackedOffsets of{offsets.get(), group};
  row_logits({of, c.heads, c.type, q.get(), packed.get(), c.scale(), c.splits, scores.get()}, nullptr);
  const Array<float> predicted = c.data.floats(heads * c.slots);
  const Array<float> wanted = c.data.floats(heads * c.slots);
  const Array<float> slope(heads), shift(heads);
  c.op[0].tokens = c.slots;
  const std::int64_t sinks = c.data.between(0, static_cast<int>(std::min<std::int64_t>(c.slots, 4)));
  fit_logits({c.op.get(), c.heads, sinks, predicted.get(), wanted.get(), c.slots, slope.get(), shift.get()},
             nullptr);
  finish();
  Worst fp64;
  Worst host;
  std::vector<double> logits(static_cast<std::size_t>(total));
  for (int h = 0; h < heads; ++h) {
    const PackedRows rows = of.of(h);
    for (std::int64_t i = 0; i < rows.count; ++i) {
      double sum = 0;
      for (int d = 0; d < c.dim(); ++d) {
        sum += static_cast<double>(q[h * c.dim() + d]) * packed.at((rows.first_row + i) * c.dim() + d);
      }
      logits[static_cast<std::size_t>(rows.first_score + i)] = sum * c.scale();
      fp64.add(scores[rows.first_score + i], sum * c.scale());
    }
    const std::int64_t from = h * c.slots + sinks;
    const kernels::Line line =
        kernels::fit_line(predicted.get() + from, wanted.get() + from, c.slots - sinks);
    host.add(slope[h], line.slope);
    host.add(shift[h], line.shift);
  }
  correct_scores({of, c.heads, slope.get(), shift.get(), scores.get()}, nullptr);
  finish();
  for (int h = 0; h < heads; ++h) {
    const PackedRows rows = of.of(h);
    for (std::int64_t i = rows.first_score; i < rows.first_score + rows.count; ++i) {
      fp64.add(scores[i], slope[h] * logits[static_cast<std::size_t>(i)] + shift[h]);
    }
  }
  return {fp64.value(), host.value()};
}

}  // namespace

std::vector<KernelCheck> choice_checks() {
  return {
      {"page_bounds", "a prompt, then token by token", kExact, true, check_page_bounds},
      {"select_pages", "the best by their bounds", kFp32Bound, true, check_select_pages},
      {"attend_pages", "chosen pages and the last one", kFp32Bound, true, check_attend_pages},
      {"lookahead", "packed rows' logits, a head's line, corrected scores", kFp32Bound, true,
       check_lookahead},
  };
}

}  // namespace hybridgen::cuda
