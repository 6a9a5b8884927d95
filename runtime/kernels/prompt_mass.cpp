#include "runtime/kernels/prompt_mass.hpp"

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

// One block of queries. A line is one (token, head) pair.
struct Block {
  KvType type;
  int group;
  int head_dim;
  std::int64_t tokens;
  std::int64_t first_position;
  float* k;       // [kPrefillRows][head_dim]
  float* q;       // [lines][head_dim], scaled
  float* logits;  // [lines][kPrefillRows]
  float* top;     // [lines] largest logit so far, then the log-sum-exp of the line
  float* total;   // [lines] sum of exp(logit - top) so far

  std::int64_t lines() const { return tokens * group; }
  std::int64_t seen() const { return first_position + tokens; }
};

// Calls use(line, logits, begin, visible) for each line and each block of rows that it sees some of.
template <class Use>
void for_each_strip(const Block& b, const void* k, const Use& use) {
  for (std::int64_t begin = 0; begin < b.seen(); begin += kPrefillRows) {
    const std::int64_t rows = std::min(kPrefillRows, b.seen() - begin);
    load_rows(b.type, b.head_dim, row_at(k, b.type, b.head_dim, begin), b.k, rows);
    sgemm(true, b.lines(), rows, b.head_dim, b.q, b.head_dim, b.k, b.head_dim, 0.0F, b.logits, kPrefillRows);
    for (std::int64_t line = 0; line < b.lines(); ++line) {
      const std::int64_t visible = std::min(rows, b.first_position + line / b.group + 1 - begin);
      if (visible > 0) use(line, b.logits + line * kPrefillRows, begin, visible);
    }
  }
}

void add_block(const Block& b, const void* k, float* mass) {
  std::fill_n(b.total, b.lines(), 0.0F);
  std::fill_n(b.top, b.lines(), -std::numeric_limits<float>::infinity());
  for_each_strip(b, k, [&](std::int64_t line, float* logits, std::int64_t, std::int64_t visible) {
    const float top = std::max(b.top[line], max_of(logits, visible));
    b.total[line] = b.total[line] * std::exp(b.top[line] - top) + exp_sum(logits, visible, top);
    b.top[line] = top;
  });
  for (std::int64_t line = 0; line < b.lines(); ++line) b.top[line] += std::log(b.total[line]);
  for_each_strip(b, k, [&](std::int64_t line, float* logits, std::int64_t begin, std::int64_t visible) {
    exp_sum(logits, visible, b.top[line]);
    add(mass + begin, logits, mass + begin, visible);
  });
}

}  // namespace

void prompt_mass(KvType type, const float* q, std::int64_t q_stride, std::int64_t first_query,
                 std::int64_t tokens, int group, int head_dim, const void* k, float scale_factor,
                 float* scratch, float* mass) {
  HG_CHECK(0 <= first_query && first_query <= tokens, "queries from " << first_query << " of " << tokens);
  const std::int64_t lines = kPrefillQueries * group;
  Block b{type, group, head_dim, 0, 0, scratch, nullptr, nullptr, nullptr, nullptr};
  b.q = b.k + kPrefillRows * head_dim;
  b.logits = b.q + lines * head_dim;
  b.top = b.logits + lines * kPrefillRows;
  b.total = b.top + lines;
  std::fill_n(mass, tokens, 0.0F);
  const std::int64_t width = static_cast<std::int64_t>(group) * head_dim;
  for (std::int64_t t = first_query; t < tokens; t += kPrefillQueries) {
    b.tokens = std::min(kPrefillQueries, tokens - t);
    b.first_position = t;
    for (std::int64_t i = 0; i < b.tokens; ++i) {
      std::memcpy(b.q + i * width, q + (t + i) * q_stride, static_cast<std::size_t>(width) * sizeof(float));
    }
    scale(b.q, b.tokens * width, scale_factor);
    add_block(b, k, mass);
  }
}

}  // namespace hybridgen::kernels
