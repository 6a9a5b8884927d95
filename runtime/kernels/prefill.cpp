#include "runtime/kernels/prefill.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/check.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/gemm.hpp"

namespace hybridgen::kernels {
namespace {

// One block of query tokens on its way through the context. A line is one (token, head) pair.
struct Block {
  KvType type;
  int group;
  int head_dim;
  std::int64_t tokens;
  std::int64_t first_position;
  float* k;        // [kPrefillRows][head_dim]
  float* v;        // [kPrefillRows][head_dim]
  float* q;        // [lines][head_dim], scaled
  float* sum;      // [lines][head_dim], not yet divided
  float* weights;  // [lines][kPrefillRows]
  float* top;      // [lines] largest logit so far
  float* total;    // [lines] sum of exp(logit - top) so far

  std::int64_t lines() const { return tokens * group; }
};

Block carve(KvType type, int group, int head_dim, float* scratch) {
  const std::int64_t lines = kPrefillQueries * group;
  Block b{};
  b.type = type;
  b.group = group;
  b.head_dim = head_dim;
  b.k = scratch;
  b.v = b.k + kPrefillRows * head_dim;
  b.q = b.v + kPrefillRows * head_dim;
  b.sum = b.q + lines * head_dim;
  b.weights = b.sum + lines * head_dim;
  b.top = b.weights + lines * kPrefillRows;
  b.total = b.top + lines;
  return b;
}

// Rows [begin, begin + count) of the context as fp32, across the borders of spans.
void fetch_rows(const Block& b, const KvSpan* spans, int span_count, std::int64_t begin, std::int64_t count) {
  std::int64_t done = 0;
  for (int s = 0; s < span_count && done < count; ++s) {
    const std::int64_t offset = begin + done;
    if (offset >= spans[s].count) {
      begin -= spans[s].count;
      continue;
    }
    const std::int64_t rows = std::min(count - done, spans[s].count - offset);
    const std::int64_t to = done * b.head_dim;
    load_rows(b.type, b.head_dim, row_at(spans[s].k, b.type, b.head_dim, offset), b.k + to, rows);
    load_rows(b.type, b.head_dim, row_at(spans[s].v, b.type, b.head_dim, offset), b.v + to, rows);
    done += rows;
    begin -= spans[s].count;
  }
}

// Turns the logits of one line into weights under the running maximum; `visible` of `rows` rows count.
void soften_line(const Block& b, std::int64_t line, std::int64_t rows, std::int64_t visible) {
  float* w = b.weights + line * kPrefillRows;
  if (visible > 0) {
    const float top = std::max(b.top[line], max_of(w, visible));
    const float shrink = std::exp(b.top[line] - top);
    if (shrink != 1.0f) scale(b.sum + line * b.head_dim, b.head_dim, shrink);
    b.total[line] = b.total[line] * shrink + exp_sum(w, visible, top);
    b.top[line] = top;
  }
  std::fill(w + std::max<std::int64_t>(visible, 0), w + rows, 0.0f);
}

void attend_block(const Block& b, const KvSpan* spans, int span_count) {
  const std::int64_t seen = b.first_position + b.tokens;  // by the last token of the block
  std::fill_n(b.sum, b.lines() * b.head_dim, 0.0f);
  std::fill_n(b.total, b.lines(), 0.0f);
  std::fill_n(b.top, b.lines(), -std::numeric_limits<float>::infinity());
  for (std::int64_t begin = 0; begin < seen; begin += kPrefillRows) {
    const std::int64_t rows = std::min(kPrefillRows, seen - begin);
    fetch_rows(b, spans, span_count, begin, rows);
    sgemm(true, b.lines(), rows, b.head_dim, b.q, b.head_dim, b.k, b.head_dim, 0.0f, b.weights, kPrefillRows);
    for (std::int64_t line = 0; line < b.lines(); ++line) {
      const std::int64_t position = b.first_position + line / b.group;
      soften_line(b, line, rows, std::min(rows, position + 1 - begin));
    }
    sgemm(false, b.lines(), b.head_dim, rows, b.weights, kPrefillRows, b.v, b.head_dim, 1.0f, b.sum,
          b.head_dim);
  }
}

}  // namespace

void prefill(KvType type, const float* q, std::int64_t q_stride, std::int64_t query_tokens,
             std::int64_t first_position, int group, int head_dim, const KvSpan* spans, int span_count,
             float scale_factor, float* scratch, float* out, std::int64_t out_stride) {
  std::int64_t context = 0;
  for (int s = 0; s < span_count; ++s) context += spans[s].count;
  HG_CHECK(first_position >= 0 && context >= first_position + query_tokens,
           "prefill: the spans hold " << context << " rows, the last query stands at "
                                      << first_position + query_tokens - 1);
  Block b = carve(type, group, head_dim, scratch);
  const std::int64_t width = static_cast<std::int64_t>(group) * head_dim;
  for (std::int64_t t = 0; t < query_tokens; t += kPrefillQueries) {
    b.tokens = std::min(kPrefillQueries, query_tokens - t);
    b.first_position = first_position + t;
    for (std::int64_t i = 0; i < b.tokens; ++i) {
      std::memcpy(b.q + i * width, q + (t + i) * q_stride, static_cast<std::size_t>(width) * sizeof(float));
    }
    scale(b.q, b.tokens * width, scale_factor);
    attend_block(b, spans, span_count);
    for (std::int64_t line = 0; line < b.lines(); ++line) {
      float* sum = b.sum + line * head_dim;
      scale(sum, head_dim, 1.0f / b.total[line]);
      float* to = out + (t + line / group) * out_stride + line % group * head_dim;
      std::memcpy(to, sum, static_cast<std::size_t>(head_dim) * sizeof(float));
    }
  }
}

}  // namespace hybridgen::kernels
