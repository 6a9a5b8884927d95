// What int8 rows alone have to hold: the same bits on every instruction set, sums at the edge of overflow,
// and rows and queries that no integers could show. Rows enough for every kernel's main loop and its
// remainder.
#include "runtime/kernels/int8_rows.hpp"

#include <cmath>
#include <limits>

#include "core/base/check.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/page_bounds.hpp"
#include "tests/runtime/kernel_fixture.hpp"

namespace hybridgen::kernels {
namespace {

using Int8Rows = KernelTest;
HG_FOR_EVERY_ISA(Int8Rows);

constexpr std::int64_t kRows = 75;  // two strips of 32 and a remainder
const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInfinity = std::numeric_limits<float>::infinity();

// Integers add up to the same in any order. Group 11 takes two turns over the rows.
TEST_P(Int8Rows, Logits_areThoseOfEveryInstructionSetBitForBit) {
  for (const int head_dim : {16, 48, 64, 80, 96, 128, 256, 512}) {
    for (const int group : {1, 2, 3, 5, 8, 11}) {
      for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{9}, kRows}) {
        SCOPED_TRACE(std::to_string(head_dim) + " x " + std::to_string(group) + " x " + std::to_string(rows));
        const Rows k = make_rows(KvType::int8, head_dim, random_floats(rows * head_dim, 3.0f));
        const std::vector<float> q = random_floats(group * head_dim, 5.0f);
        Guarded<float> scores(group * rows), plain(group * rows);
        logits(KvType::int8, q.data(), group, head_dim, k.data(), rows, 0.125f, scores.data(), rows);
        force_isa(Isa::scalar);
        logits(KvType::int8, q.data(), group, head_dim, k.data(), rows, 0.125f, plain.data(), rows);
        force_isa(GetParam());
        for (std::int64_t i = 0; i < group * rows; ++i) ASSERT_EQ(scores[i], plain[i]) << i;
        EXPECT_TRUE(scores.intact());
      }
    }
  }
}

TEST_P(Int8Rows, WeightedV_moreHeadsThanOneTurnAndOtherHeadDims_matchFp64) {
  for (const int head_dim : {80, 96, 256}) {
    constexpr int kGroup = 11;
    const Rows v = make_rows(KvType::int8, head_dim, random_floats(kRows * head_dim));
    const std::vector<float> p = random_floats(kGroup * kRows);
    Guarded<float> out(kGroup * head_dim);
    std::fill_n(out.data(), kGroup * head_dim, 0.0f);
    weighted_v(KvType::int8, p.data(), kRows, kGroup, head_dim, v.data(), kRows, out.data());
    for (int g = 0; g < kGroup; ++g) {
      for (int d = 0; d < head_dim; ++d) {
        double expected = 0;
        for (std::int64_t n = 0; n < kRows; ++n) {
          expected += p[static_cast<std::size_t>(g * kRows + n)] *
                      v.values[static_cast<std::size_t>(n * head_dim + d)];
        }
        ASSERT_NEAR(out[g * head_dim + d], expected, 1e-5) << "head " << g << " channel " << d;
      }
    }
    EXPECT_TRUE(out.intact());
  }
}

// At the widest rows that they take, the largest sums: 127 x 32,767 x 512 is 0.8 % short of overflow.
TEST_P(Int8Rows, Logits_largestSums_doNotOverflow) {
  const Rows k = make_rows(KvType::int8, 512, std::vector<float>(512 * kRows, 1.0f));
  const std::vector<float> up(512, 1.0f), down(512, -1.0f);
  std::vector<float> scores(kRows);
  logits(KvType::int8, up.data(), 1, 512, k.data(), kRows, 1.0f, scores.data(), kRows);
  for (const float score : scores) ASSERT_NEAR(score, 512, 1e-3);
  logits(KvType::int8, down.data(), 1, 512, k.data(), kRows, 1.0f, scores.data(), kRows);
  for (const float score : scores) ASSERT_NEAR(score, -512, 1e-3);
}

TEST_P(Int8Rows, Logits_widerRowsThanSumsHold_areOurBug) {
  const Rows wider = make_rows(KvType::int8, 528, std::vector<float>(528, 1.0f));
  const std::vector<float> q(528, 1.0f);
  float score = 0;
  EXPECT_THROW(logits(KvType::int8, q.data(), 1, 528, wider.data(), 1, 1.0f, &score, 1), InternalError);
}

// The rows in turn: sound, zero, with a NaN, with an infinity.
std::vector<float> rows_of_all_kinds(int head_dim) {
  std::vector<float> rows(static_cast<std::size_t>(kRows * head_dim), 0.5f);
  for (std::int64_t n = 0; n < kRows; ++n) {
    float* row = rows.data() + n * head_dim;
    if (n % 4 == 1) std::fill_n(row, head_dim, 0.0f);
    if (n % 4 == 2) row[5] = kNan;
    if (n % 4 == 3) row[head_dim - 1] = -kInfinity;
  }
  return rows;
}

TEST_P(Int8Rows, Logits_zeroAndNotANumber_areSeen) {
  for (const int head_dim : {16, 64, 128}) {
    SCOPED_TRACE(head_dim);
    std::vector<std::byte> k(static_cast<std::size_t>(kRows * row_bytes(KvType::int8, head_dim)));
    store_rows(KvType::int8, head_dim, rows_of_all_kinds(head_dim).data(), k.data(), kRows);
    std::vector<float> q(static_cast<std::size_t>(3 * head_dim), 2.0f);  // head 0 sound, 1 zero, 2 with a NaN
    std::fill_n(q.begin() + head_dim, head_dim, 0.0f);
    q[static_cast<std::size_t>(2 * head_dim + 3)] = kNan;
    std::vector<float> scores(3 * kRows);
    logits(KvType::int8, q.data(), 3, head_dim, k.data(), kRows, 1.0f, scores.data(), kRows);
    for (std::size_t n = 0; n < kRows; ++n) {
      const bool sound = n % 4 < 2;
      EXPECT_EQ(std::isnan(scores[n]), !sound) << n;
      EXPECT_EQ(std::isnan(scores[kRows + n]), !sound) << n;
      EXPECT_TRUE(std::isnan(scores[2 * kRows + n])) << n;
      if (!sound) continue;
      EXPECT_NEAR(scores[n], n % 4 == 0 ? head_dim : 0, 1e-3) << n;
      EXPECT_EQ(scores[kRows + n], 0.0f) << n;
    }
  }
}

// A page's bounds are of fp16, whose range ends at 65,504: beyond it they stay there, and nothing that a
// query multiplies by zero becomes a NaN.
TEST_P(Int8Rows, PageBounds_rowsBeyondTheRangeOfFp16_stayNumbers) {
  constexpr int kDims = 64;
  std::vector<float> keys(static_cast<std::size_t>(16 * kDims));
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = i % 2 == 0 ? 3e5f : -3e5f;
  const Rows k = make_rows(KvType::int8, kDims, keys);
  std::vector<float> scratch(static_cast<std::size_t>(page_scratch(2, kDims)));
  std::vector<std::byte> page(static_cast<std::size_t>(row_bytes(bounds_type(KvType::int8), 2 * kDims)));
  extend_page(KvType::int8, kDims, k.data(), 10, true, scratch.data(), page.data());
  extend_page(KvType::int8, kDims, row_at(k.data(), KvType::int8, kDims, 10), 6, false, scratch.data(),
              page.data());
  std::vector<float> q(2 * kDims, 0.0f);  // head 0 asks for channel 0 alone, head 1 for all of them
  q[0] = 1;
  std::fill_n(q.begin() + kDims, kDims, 0.5f);
  float bounds[2];
  page_scores(KvType::int8, q.data(), 2, kDims, page.data(), 1, scratch.data(), bounds, 1);
  EXPECT_EQ(bounds[0], 65504.0f);
  EXPECT_EQ(bounds[1], 0.0f);
}

}  // namespace
}  // namespace hybridgen::kernels
