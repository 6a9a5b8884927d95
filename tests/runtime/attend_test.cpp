// The attention kernels against fp64, over the grid of head sizes, groups, types and odd numbers of rows,
// with the rows split into two spans as a ring buffer hands them over. Inputs in [-1, 1], outputs are means
// of V.
#include "runtime/kernels/attend.hpp"

#include <cmath>
#include <limits>

#include "core/base/check.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/prefill.hpp"
#include "tests/runtime/kernel_fixture.hpp"

namespace hybridgen::kernels {
namespace {

struct Case {
  KvType type;
  int head_dim;
  int group;
  std::int64_t rows;
};

std::vector<Case> grid() {
  std::vector<Case> cases;
  for (const KvType type : {KvType::f16, KvType::f32, KvType::bf16, KvType::int8}) {
    for (const int head_dim : {64, 128, 48}) {
      for (const int group : {1, 3, 4, 5, 7, 8}) {
        for (const std::int64_t rows : {1, 3, 4, 63, 301}) cases.push_back({type, head_dim, group, rows});
      }
    }
  }
  return cases;
}

std::string text(const Case& c) {
  constexpr const char* kNames[] = {"f16", "f32", "bf16", "int8"};  // in the order of KvType
  return std::string(kNames[static_cast<int>(c.type)]) + " head_dim " + std::to_string(c.head_dim) +
         " group " + std::to_string(c.group) + " rows " + std::to_string(c.rows);
}

// Queries as decode reads them: beside int8 rows each head's are rounded to 32,767 steps of its largest, in
// fp32 as the kernels do, or a value between two steps could go either way.
std::vector<double> seen_by(KvType type, const std::vector<float>& q, int head_dim) {
  std::vector<double> seen(q.begin(), q.end());
  if (type != KvType::int8) return seen;
  for (auto head = seen.begin(); head != seen.end(); head += head_dim) {
    double largest = 0;
    for (int d = 0; d < head_dim; ++d) largest = std::max(largest, std::abs(head[d]));
    const float steps = 32767 / static_cast<float>(largest);
    for (int d = 0; d < head_dim; ++d) {
      head[d] = std::nearbyint(static_cast<float>(head[d]) * steps) * largest / 32767;
    }
  }
  return seen;
}

double logit64(const double* q, const double* k, int head_dim, double scale) {
  double sum = 0;
  for (int d = 0; d < head_dim; ++d) sum += q[d] * k[d];
  return sum * scale;
}

// softmax(logits) times V, and the log-sum-exp behind it.
std::vector<double> mix64(const std::vector<double>& logit, const std::vector<const double*>& v, int head_dim,
                          double* lse = nullptr) {
  double top = -1e300, sum = 0;
  for (const double x : logit) top = std::max(top, x);
  for (const double x : logit) sum += std::exp(x - top);
  std::vector<double> out(static_cast<std::size_t>(head_dim));
  for (std::size_t n = 0; n < logit.size(); ++n) {
    for (std::size_t d = 0; d < out.size(); ++d) out[d] += std::exp(logit[n] - top) / sum * v[n][d];
  }
  if (lse) *lse = top + std::log(sum);
  return out;
}

// Full attention of one query over the first `rows` rows.
std::vector<double> attend64(const double* q, const Rows& k, const Rows& v, std::int64_t rows, int head_dim,
                             double scale, double* lse = nullptr) {
  std::vector<double> logit;
  std::vector<const double*> value;
  for (std::int64_t n = 0; n < rows; ++n) {
    logit.push_back(logit64(q, k.values.data() + n * head_dim, head_dim, scale));
    value.push_back(v.values.data() + n * head_dim);
  }
  return mix64(logit, value, head_dim, lse);
}

KvSpan part(const Rows& k, const Rows& v, const Case& c, std::int64_t begin, std::int64_t count) {
  return {row_at(k.data(), c.type, c.head_dim, begin), row_at(v.data(), c.type, c.head_dim, begin), count};
}

using Attend = KernelTest;
HG_FOR_EVERY_ISA(Attend);

TEST_P(Attend, Logits_grid_matchesFp64) {
  for (const Case& c : grid()) {
    SCOPED_TRACE(text(c));
    const Rows k = make_rows(c.type, c.head_dim, random_floats(c.rows * c.head_dim));
    const std::vector<float> q = random_floats(c.group * c.head_dim);
    const std::vector<double> seen = seen_by(c.type, q, c.head_dim);
    const std::int64_t stride = c.rows + 5;
    Guarded<float> scores(c.group * stride);
    logits(c.type, q.data(), c.group, c.head_dim, k.data(), c.rows, 0.125f, scores.data(), stride);
    for (int g = 0; g < c.group; ++g) {
      for (std::int64_t n = 0; n < c.rows; ++n) {
        const double* one_q = seen.data() + g * c.head_dim;
        const double* one_k = k.values.data() + n * c.head_dim;
        double sizes = 0;
        for (int d = 0; d < c.head_dim; ++d) sizes += std::abs(one_q[d] * one_k[d]) * 0.125;
        ASSERT_NEAR(scores[g * stride + n], logit64(one_q, one_k, c.head_dim, 0.125),
                    2e-6 + tile_unit_error(c.type, sizes));
      }
      ASSERT_TRUE(scores.untouched(g * stride + c.rows));
    }
    EXPECT_TRUE(scores.intact());
  }
}

TEST_P(Attend, WeightedV_grid_accumulatesAsFp64) {
  for (const Case& c : grid()) {
    SCOPED_TRACE(text(c));
    const Rows v = make_rows(c.type, c.head_dim, random_floats(c.rows * c.head_dim));
    const std::int64_t stride = c.rows + 3;
    const std::vector<float> p = random_floats(c.group * stride);
    const std::vector<float> before = random_floats(c.group * c.head_dim);
    Guarded<float> out(c.group * c.head_dim);
    std::copy(before.begin(), before.end(), out.data());
    weighted_v(c.type, p.data(), stride, c.group, c.head_dim, v.data(), c.rows, out.data());
    for (int g = 0; g < c.group; ++g) {
      for (int d = 0; d < c.head_dim; ++d) {
        double expected = before[static_cast<std::size_t>(g * c.head_dim + d)], sizes = 0;
        for (std::int64_t n = 0; n < c.rows; ++n) {
          const double product = p[static_cast<std::size_t>(g * stride + n)] *
                                 v.values[static_cast<std::size_t>(n * c.head_dim + d)];
          expected += product;
          sizes += std::abs(product);
        }
        ASSERT_NEAR(out[g * c.head_dim + d], expected,
                    1e-7 * static_cast<double>(c.rows) + 1e-6 + tile_unit_error(c.type, sizes));
      }
    }
    EXPECT_TRUE(out.intact());
  }
}

TEST_P(Attend, WeightedVAt_gatheredRows_matchesFp64) {
  for (const KvType type : {KvType::f16, KvType::f32, KvType::bf16, KvType::int8}) {
    for (const int head_dim : {48, 64, 128}) {
      const Rows v = make_rows(type, head_dim, random_floats(200 * head_dim));
      const std::vector<float> p = random_floats(61);
      std::vector<std::int32_t> index;
      for (int j = 0; j < 61; ++j) index.push_back(static_cast<std::int32_t>(random_int(0, 199)));
      Guarded<float> out(head_dim);
      std::fill_n(out.data(), head_dim, 0.0f);
      weighted_v_at(type, p.data(), index.data(), 61, head_dim, v.data(), out.data());
      for (int d = 0; d < head_dim; ++d) {
        double expected = 0;
        for (std::size_t j = 0; j < p.size(); ++j) {
          expected += p[j] * v.values[static_cast<std::size_t>(index[j] * head_dim + d)];
        }
        ASSERT_NEAR(out[d], expected, 5e-6);
      }
      EXPECT_TRUE(out.intact());
    }
  }
}

TEST_P(Attend, Attend_gridInTwoSpans_matchesFp64) {
  for (const Case& c : grid()) {
    SCOPED_TRACE(text(c));
    const Rows k = make_rows(c.type, c.head_dim, random_floats(c.rows * c.head_dim));
    const Rows v = make_rows(c.type, c.head_dim, random_floats(c.rows * c.head_dim));
    const std::vector<float> q = random_floats(c.group * c.head_dim, 4.0f);
    const std::vector<double> seen = seen_by(c.type, q, c.head_dim);
    const std::int64_t cut = random_int(0, c.rows);
    const KvSpan spans[] = {part(k, v, c, 0, cut), part(k, v, c, cut, c.rows - cut)};
    Guarded<float> out(c.group * c.head_dim), lse(c.group), scratch(attend_scratch(c.group, c.rows));
    attend(c.type, q.data(), c.group, c.head_dim, spans, 2, 0.125f, scratch.data(), out.data(), lse.data());
    for (int g = 0; g < c.group; ++g) {
      double lse64 = 0;
      const std::vector<double> expected =
          attend64(seen.data() + g * c.head_dim, k, v, c.rows, c.head_dim, 0.125, &lse64);
      for (int d = 0; d < c.head_dim; ++d) {
        ASSERT_NEAR(out[g * c.head_dim + d], expected[static_cast<std::size_t>(d)], 5e-6);
      }
      EXPECT_NEAR(lse[g], lse64, 1e-5);
    }
    EXPECT_TRUE(out.intact() && lse.intact() && scratch.intact());
  }
}

TEST_P(Attend, MergePartials_twoHalves_isAttentionOverBoth) {
  for (const Case& c : grid()) {
    SCOPED_TRACE(text(c));
    const Rows k = make_rows(c.type, c.head_dim, random_floats(c.rows * c.head_dim));
    const Rows v = make_rows(c.type, c.head_dim, random_floats(c.rows * c.head_dim));
    const std::vector<float> q = random_floats(c.group * c.head_dim, 4.0f);
    const std::vector<double> seen = seen_by(c.type, q, c.head_dim);
    const std::int64_t cut = random_int(0, c.rows);  // one side may be empty
    const KvSpan spans[] = {part(k, v, c, 0, cut), part(k, v, c, cut, c.rows - cut)};
    Guarded<float> out(c.group * c.head_dim), lse(c.group), other(c.group * c.head_dim), other_lse(c.group);
    Guarded<float> scratch(attend_scratch(c.group, c.rows));
    attend(c.type, q.data(), c.group, c.head_dim, spans, 1, 0.125f, scratch.data(), out.data(), lse.data());
    attend(c.type, q.data(), c.group, c.head_dim, spans + 1, 1, 0.125f, scratch.data(), other.data(),
           other_lse.data());
    merge_partials(c.group, c.head_dim, out.data(), lse.data(), other.data(), other_lse.data());
    for (int g = 0; g < c.group; ++g) {
      const std::vector<double> expected =
          attend64(seen.data() + g * c.head_dim, k, v, c.rows, c.head_dim, 0.125);
      for (int d = 0; d < c.head_dim; ++d) {
        ASSERT_NEAR(out[g * c.head_dim + d], expected[static_cast<std::size_t>(d)], 5e-6);
      }
    }
    EXPECT_TRUE(out.intact() && lse.intact() && other.intact());
  }
}

// Attention over `parts` disjoint shares of the rows, joined in turn, is attention over all of them. Some
// shares are empty, and the logits of others lie far below the rest or at -infinity's edge.
TEST_P(Attend, MergePartials_severalParts_isAttentionOverAll) {
  constexpr std::int64_t kRows = 301;
  for (const int parts : {1, 2, 7}) {
    for (const float depth : {0.0f, 40.0f, 1e4f, 1e30f}) {
      for (const bool one_empty : {false, true}) {
        const Case c{KvType::f32, 64, 3, kRows};
        SCOPED_TRACE(std::to_string(parts) + " parts, low by " + std::to_string(depth) +
                     (one_empty ? ", one empty" : ""));
        const std::vector<float> q(static_cast<std::size_t>(c.group * c.head_dim), 1.0f);
        const std::vector<double> seen = seen_by(c.type, q, c.head_dim);
        const auto begin = [&](int p) { return kRows * p / parts; };
        std::vector<float> keys = random_floats(kRows * c.head_dim);
        for (std::int64_t n = 0; n < begin(1) && parts > 1; ++n) {
          keys[static_cast<std::size_t>(n * c.head_dim)] -= depth;  // the first part
        }
        const Rows k = make_rows(c.type, c.head_dim, keys);
        const Rows v = make_rows(c.type, c.head_dim, random_floats(kRows * c.head_dim));
        Guarded<float> out(c.group * c.head_dim), lse(c.group);
        Guarded<float> other(c.group * c.head_dim), other_lse(c.group);
        Guarded<float> scratch(attend_scratch(c.group, kRows));
        attend(c.type, q.data(), c.group, c.head_dim, nullptr, 0, 0.125f, nullptr, out.data(), lse.data());
        const auto join = [&](std::int64_t first, std::int64_t count) {
          const KvSpan span = part(k, v, c, first, count);
          attend(c.type, q.data(), c.group, c.head_dim, &span, 1, 0.125f, scratch.data(), other.data(),
                 other_lse.data());
          merge_partials(c.group, c.head_dim, out.data(), lse.data(), other.data(), other_lse.data());
        };
        for (int p = 0; p < parts; ++p) {
          join(begin(p), begin(p + 1) - begin(p));
          if (one_empty) join(0, 0);
        }
        for (int g = 0; g < c.group; ++g) {
          double lse64 = 0;
          const std::vector<double> expected =
              attend64(seen.data() + g * c.head_dim, k, v, kRows, c.head_dim, 0.125, &lse64);
          for (int d = 0; d < c.head_dim; ++d) {
            ASSERT_NEAR(out[g * c.head_dim + d], expected[static_cast<std::size_t>(d)], 1e-4);
          }
          EXPECT_NEAR(lse[g], lse64, 1e-4);
        }
        EXPECT_TRUE(out.intact() && lse.intact() && other.intact() && other_lse.intact());
      }
    }
  }
}

TEST_P(Attend, MergePartials_nothingWithNothing_staysNothing) {
  Guarded<float> out(64), lse(1), other(64), other_lse(1);
  attend(KvType::f16, out.data(), 1, 64, nullptr, 0, 1.0f, nullptr, out.data(), lse.data());
  attend(KvType::f16, out.data(), 1, 64, nullptr, 0, 1.0f, nullptr, other.data(), other_lse.data());
  merge_partials(1, 64, out.data(), lse.data(), other.data(), other_lse.data());
  for (int d = 0; d < 64; ++d) EXPECT_EQ(out[d], 0.0f);
  EXPECT_EQ(lse[0], -std::numeric_limits<float>::infinity());
}

TEST_P(Attend, Attend_noRows_isZeroWithMinusInfinity) {
  const std::vector<float> q = random_floats(2 * 64);
  Guarded<float> out(2 * 64), lse(2);
  attend(KvType::f16, q.data(), 2, 64, nullptr, 0, 1.0f, nullptr, out.data(), lse.data());
  for (int i = 0; i < 128; ++i) EXPECT_EQ(out[i], 0.0f);
  EXPECT_EQ(lse[1], -std::numeric_limits<float>::infinity());
}

TEST_P(Attend, Logits_oddHeadDim_isOurBug) {
  float x = 0;
  EXPECT_THROW(logits(KvType::f32, &x, 1, 40, &x, 0, 1.0f, &x, 1), InternalError);
}

// One softmax over device and host rows: each head has its own host rows, some have none.
TEST_P(Attend, JointAttend_hostRowsPerHead_matchesFp64) {
  for (const Case& c : grid()) {
    SCOPED_TRACE(text(c));
    const Rows v = make_rows(c.type, c.head_dim, random_floats(c.rows * c.head_dim));
    const std::int64_t cut = random_int(0, c.rows);
    const RowSpan spans[] = {{v.data(), cut}, {row_at(v.data(), c.type, c.head_dim, cut), c.rows - cut}};
    const std::int64_t stride = c.rows + 2;
    const std::vector<float> device = random_floats(c.group * stride, 5.0f);
    std::vector<Rows> host_v;
    std::vector<std::vector<float>> host_scores;
    for (int g = 0; g < c.group; ++g) {
      const std::int64_t count = g == 1 ? 0 : random_int(1, 40);
      host_v.push_back(make_rows(c.type, c.head_dim, random_floats(count * c.head_dim)));
      host_scores.push_back(random_floats(count, 5.0f));
    }
    Guarded<float> scores(c.group * stride), out(c.group * c.head_dim), lse(c.group);
    std::copy(device.begin(), device.end(), scores.data());
    std::vector<std::vector<float>> used = host_scores;
    std::vector<HostRows> host;
    for (std::size_t g = 0; g < used.size(); ++g) {
      host.push_back({used[g].data(), host_v[g].data(), static_cast<std::int64_t>(used[g].size())});
    }
    joint_attend(c.type, c.group, c.head_dim, spans, 2, scores.data(), stride, host.data(), out.data(),
                 lse.data());
    for (int g = 0; g < c.group; ++g) {
      std::vector<double> logit;
      std::vector<const double*> value;
      for (std::int64_t n = 0; n < c.rows; ++n) {
        logit.push_back(device[static_cast<std::size_t>(g * stride + n)]);
        value.push_back(v.values.data() + n * c.head_dim);
      }
      for (std::size_t n = 0; n < used[static_cast<std::size_t>(g)].size(); ++n) {
        logit.push_back(host_scores[static_cast<std::size_t>(g)][n]);
        value.push_back(host_v[static_cast<std::size_t>(g)].values.data() +
                        n * static_cast<std::size_t>(c.head_dim));
      }
      double lse64 = 0;
      const std::vector<double> expected = mix64(logit, value, c.head_dim, &lse64);
      for (int d = 0; d < c.head_dim; ++d) {
        ASSERT_NEAR(out[g * c.head_dim + d], expected[static_cast<std::size_t>(d)], 5e-6);
      }
      EXPECT_NEAR(lse[g], lse64, 1e-5);
    }
    EXPECT_TRUE(scores.intact() && out.intact() && lse.intact());
  }
}

// Heads that share their packed rows, each with its own scores, against the same rows copied for each head.
TEST_P(Attend, JointAttend_rowsSharedByTheGroup_equalsRowsOfItsOwnPerHead) {
  for (const Case& c : grid()) {
    SCOPED_TRACE(text(c));
    constexpr std::int64_t kShared = 37;
    const Rows v = make_rows(c.type, c.head_dim, random_floats(c.rows * c.head_dim));
    const RowSpan span{v.data(), c.rows};
    const std::vector<float> device = random_floats(c.group * c.rows, 5.0f);
    const std::vector<float> scores = random_floats(c.group * kShared, 5.0f);
    const Rows shared = make_rows(c.type, c.head_dim, random_floats(kShared * c.head_dim));
    const auto run = [&](bool copied, float* out, float* lse) {
      std::vector<float> own_device = device, own_scores = scores;
      const std::vector<Rows> copies(static_cast<std::size_t>(c.group), shared);
      std::vector<HostRows> host;
      for (std::size_t g = 0; g < copies.size(); ++g) {
        host.push_back({own_scores.data() + static_cast<std::int64_t>(g) * kShared,
                        copied ? copies[g].data() : shared.data(), kShared});
      }
      joint_attend(c.type, c.group, c.head_dim, &span, 1, own_device.data(), c.rows, host.data(), out, lse);
    };
    Guarded<float> together(c.group * c.head_dim), apart(c.group * c.head_dim), lse(c.group),
        lse_apart(c.group);
    run(false, together.data(), lse.data());
    run(true, apart.data(), lse_apart.data());
    for (int i = 0; i < c.group * c.head_dim; ++i) ASSERT_NEAR(together[i], apart[i], 5e-6) << i;
    for (int g = 0; g < c.group; ++g) EXPECT_EQ(lse[g], lse_apart[g]);
    EXPECT_TRUE(together.intact() && lse.intact());
  }
}

TEST_P(Attend, Prefill_laterChunkInTwoSpans_matchesFp64Causal) {
  for (const KvType type : {KvType::f16, KvType::f32, KvType::bf16, KvType::int8}) {
    for (const int head_dim : {64, 128}) {
      for (const int group : {1, 3}) {
        const std::int64_t first = 231, queries = 133, context = first + queries;  // crosses blocks both ways
        const Case c{type, head_dim, group, context};
        SCOPED_TRACE(text(c));
        const Rows k = make_rows(type, head_dim, random_floats(context * head_dim));
        const Rows v = make_rows(type, head_dim, random_floats(context * head_dim));
        const std::int64_t width = group * head_dim, q_stride = width + 7, out_stride = width + 2;
        const std::vector<float> q = random_floats(queries * q_stride, 4.0f);
        const std::vector<double> seen(q.begin(), q.end());  // prefill rounds nothing
        const KvSpan spans[] = {part(k, v, c, 0, 100), part(k, v, c, 100, context - 100)};
        Guarded<float> out(queries * out_stride), scratch(prefill_scratch(group, head_dim));
        prefill(type, q.data(), q_stride, queries, first, group, head_dim, spans, 2, 0.125f, scratch.data(),
                out.data(), out_stride);
        for (std::int64_t t = 0; t < queries; t += 11) {
          for (int g = 0; g < group; ++g) {
            const std::vector<double> expected =
                attend64(seen.data() + t * q_stride + g * head_dim, k, v, first + t + 1, head_dim, 0.125);
            for (int d = 0; d < head_dim; ++d) {
              ASSERT_NEAR(out[t * out_stride + g * head_dim + d], expected[static_cast<std::size_t>(d)], 5e-6)
                  << "token " << t;
            }
          }
          ASSERT_TRUE(out.untouched(t * out_stride + width));
        }
        EXPECT_TRUE(out.intact() && scratch.intact());
      }
    }
  }
}

}  // namespace
}  // namespace hybridgen::kernels
