// The kernels and rules of kept rows against fp64 and against what was worked out by hand.
#include <cmath>
#include <limits>

#include "runtime/host/keep_rules.hpp"
#include "runtime/kernels/attend_kept.hpp"
#include "runtime/kernels/pool.hpp"
#include "runtime/kernels/prompt_mass.hpp"
#include "runtime/kernels/rope.hpp"
#include "tests/runtime/kernel_fixture.hpp"

namespace hybridgen::kernels {
namespace {

class KeptKernel : public KernelTest {};
HG_FOR_EVERY_ISA(KeptKernel);

double logit64(const float* q, const double* k, int head_dim, double scale) {
  double sum = 0;
  for (int d = 0; d < head_dim; ++d) sum += q[d] * k[d];
  return sum * scale;
}

std::vector<double> softmax64(const std::vector<double>& logits) {
  double top = -1e300, sum = 0;
  for (const double x : logits) top = std::max(top, x);
  for (const double x : logits) sum += std::exp(x - top);
  std::vector<double> weights;
  for (const double x : logits) weights.push_back(std::exp(x - top) / sum);
  return weights;
}

TEST_P(KeptKernel, prompt_mass_is_the_sum_of_causal_weights) {
  constexpr double kScale = 0.3;
  for (const KvType type : {KvType::f16, KvType::f32, KvType::int8}) {
    for (const auto& [tokens, first, group, head_dim] : std::vector<std::array<std::int64_t, 4>>{
             {1, 0, 1, 16}, {7, 0, 3, 16}, {330, 0, 2, 64}, {330, 300, 4, 48}}) {
      const std::int64_t stride = group * head_dim + 5;
      const std::vector<float> q = random_floats(tokens * stride, 2);
      const Rows k = make_rows(type, static_cast<int>(head_dim), random_floats(tokens * head_dim, 2));
      std::vector<double> expected(static_cast<std::size_t>(tokens));
      for (std::int64_t i = first; i < tokens; ++i) {
        for (std::int64_t g = 0; g < group; ++g) {
          std::vector<double> logits;
          for (std::int64_t j = 0; j <= i; ++j) {
            logits.push_back(logit64(q.data() + i * stride + g * head_dim, k.values.data() + j * head_dim,
                                     static_cast<int>(head_dim), kScale));
          }
          const std::vector<double> weights = softmax64(logits);
          for (std::size_t j = 0; j < weights.size(); ++j) expected[j] += weights[j];
        }
      }
      Guarded<float> mass(tokens);
      Guarded<float> scratch(prompt_mass_scratch(static_cast<int>(group), static_cast<int>(head_dim)));
      prompt_mass(type, q.data(), stride, first, tokens, static_cast<int>(group), static_cast<int>(head_dim),
                  k.data(), static_cast<float>(kScale), scratch.data(), mass.data());
      double sum = 0;
      for (std::int64_t j = 0; j < tokens; ++j) {
        EXPECT_NEAR(mass[j], expected[static_cast<std::size_t>(j)], 2e-5 * static_cast<double>(tokens)) << j;
        sum += mass[j];
      }
      EXPECT_NEAR(sum, static_cast<double>((tokens - first) * group), 1e-3) << "each query gives 1";
      EXPECT_TRUE(mass.intact() && scratch.intact());
    }
  }
}

TEST_P(KeptKernel, attend_kept_adds_the_weights_of_each_step_to_the_mass) {
  constexpr int kGroup = 3, kDim = 16;
  constexpr std::int64_t kRows = 37;
  const std::vector<float> q = random_floats(kGroup * kDim);
  const Rows k = make_rows(KvType::f16, kDim, random_floats(kRows * kDim, 3));
  const Rows v = make_rows(KvType::f16, kDim, random_floats(kRows * kDim));
  std::vector<double> mass(kRows, 0.5), out(kGroup * kDim);
  for (int g = 0; g < kGroup; ++g) {
    std::vector<double> logits;
    for (int n = 0; n < kRows; ++n)
      logits.push_back(logit64(q.data() + g * kDim, k.values.data() + n * kDim, kDim, 0.25));
    const std::vector<double> weights = softmax64(logits);
    for (std::size_t n = 0; n < kRows; ++n) {
      mass[n] += weights[n];
      for (std::size_t d = 0; d < kDim; ++d)
        out[static_cast<std::size_t>(g) * kDim + d] += weights[n] * v.values[n * kDim + d];
    }
  }
  std::vector<float> got_mass(kRows, 0.5F), got(kGroup * kDim);
  Guarded<float> scratch(attend_kept_scratch(kGroup, kRows));
  attend_kept(KvType::f16, q.data(), nullptr, 0, kGroup, kDim, {k.data(), v.data(), kRows}, 0.25F,
              scratch.data(), got.data(), got_mass.data());
  for (std::size_t n = 0; n < kRows; ++n) EXPECT_NEAR(got_mass[n], mass[n], 1e-5);
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(got[i], out[i], 1e-5);
  EXPECT_TRUE(scratch.intact());
}

// Two sinks and four of the newest at position 13: rows turned by their text's positions and a query turned
// back for the sinks, against every row turned by its place in the cache.
TEST_P(KeptKernel, sinks_that_see_a_turned_query_are_rows_turned_by_their_place_in_the_cache) {
  constexpr int kGroup = 2, kDim = 32;
  const std::vector<std::int64_t> position = {0,  1,  12,
                                              13, 10, 11};  // in slots of no order, but for the sinks
  const std::vector<std::int64_t> place = {0, 1, 4, 5, 2, 3};
  const auto rows = static_cast<std::int64_t>(position.size());
  const std::vector<double> frequencies = rope_frequencies(kDim, 10000);
  const auto turned = [&](std::vector<float> x, int heads, std::int64_t by) {
    std::vector<float> cosine(kDim / 2), sine(kDim / 2);
    rope_angles(by, frequencies, cosine.data(), sine.data());
    rope(x.data(), heads, kDim, cosine.data(), sine.data());
    return x;
  };
  const std::vector<float> q = random_floats(kGroup * kDim, 2);
  const std::vector<float> v = random_floats(rows * kDim);
  std::vector<float> in_text, in_cache;
  for (std::size_t n = 0; n < position.size(); ++n) {
    const std::vector<float> k = random_floats(kDim, 2);
    for (const float x : turned(k, 1, position[n])) in_text.push_back(x);
    for (const float x : turned(k, 1, place[n])) in_cache.push_back(x);
  }
  std::vector<float> scratch(static_cast<std::size_t>(attend_kept_scratch(kGroup, rows)));
  std::vector<float> got(kGroup * kDim), expected(kGroup * kDim), plain(kGroup * kDim);
  const std::vector<float> at_13 = turned(q, kGroup, 13), at_5 = turned(q, kGroup, 5);
  const auto run = [&](const std::vector<float>& query, const float* sink_q, const std::vector<float>& k,
                       std::vector<float>& out) {
    attend_kept(KvType::f32, query.data(), sink_q, 2, kGroup, kDim, {k.data(), v.data(), rows}, 0.2F,
                scratch.data(), out.data(), nullptr);
  };
  run(at_13, turned(at_13, kGroup, 5 - 13).data(), in_text, got);
  run(at_5, nullptr, in_cache, expected);
  run(at_13, nullptr, in_text, plain);
  float apart = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i], 2e-5);
    apart = std::max(apart, std::abs(plain[i] - expected[i]));
  }
  EXPECT_GT(apart, 0.01F) << "the sinks' places matter";
}

TEST(Pool, ends_see_nothing_beyond_them) {
  const std::vector<float> x = {-1, -5, -2, -4, -9};
  std::vector<float> out(5);
  pool(x.data(), 5, 3, true, out.data());
  EXPECT_EQ(out, (std::vector<float>{-1, -1, -2, -2, -4}));
  pool(x.data(), 5, 3, false, out.data());
  EXPECT_EQ(out, (std::vector<float>{-2, -8.0F / 3, -11.0F / 3, -5, -13.0F / 3}));
  pool(x.data(), 5, 1, true, out.data());
  EXPECT_EQ(out, x);
}

std::vector<std::int64_t> kept(SelectRule rule, const KeepRule& keep, const std::vector<float>& mass,
                               Tokens count) {
  std::vector<std::int64_t> positions;
  for (const KeptToken& token : rows_to_keep(rule, keep, mass, static_cast<Tokens>(mass.size()), count)) {
    positions.push_back(token.position);
  }
  return positions;
}

TEST(KeepRules, equal_masses_are_decided_by_position) {
  using Positions = std::vector<std::int64_t>;
  KeepRule heavy;
  heavy.recent = 2;
  EXPECT_EQ(kept(SelectRule::heavy_hitter, heavy, {3, 1, 1, 1, 0, 0}, 4), (Positions{0, 3, 4, 5}))
      << "the younger";
  KeepRule observed;
  observed.window = 2;
  EXPECT_EQ(kept(SelectRule::observation_window, observed, {3, 1, 1, 1, 0, 0}, 4), (Positions{0, 1, 4, 5}))
      << "the older";
  EXPECT_EQ(kept(SelectRule::observation_window, observed, {3, 1, 1, 1, 0, 0}, 6),
            (Positions{0, 1, 2, 3, 4, 5}));
}

TEST(KeepRules, equal_masses_go_by_position) {
  const std::vector<std::int32_t> positions = {7, 2, 5, 9};
  KeepRule heavy;
  heavy.recent = 2;
  EXPECT_EQ(row_to_evict(SelectRule::heavy_hitter, heavy, positions, std::vector<float>{1, 1, 1, 0}, 10), 1)
      << "the oldest of equals; the lightest is recent";
  constexpr float kStays = std::numeric_limits<float>::infinity();
  KeepRule bound;
  bound.generated = Generated::bound;
  EXPECT_EQ(row_to_evict(SelectRule::observation_window, bound, positions,
                         std::vector<float>{kStays, 1, 1, kStays}, 10),
            2)
      << "the younger of equals";
  EXPECT_EQ(row_to_evict(SelectRule::observation_window, bound, positions,
                         std::vector<float>{kStays, kStays, kStays, kStays}, 10),
            1)
      << "the oldest, once no chosen row is left";
  KeepRule slide;
  slide.generated = Generated::slide;
  EXPECT_EQ(row_to_evict(SelectRule::observation_window, slide, positions,
                         std::vector<float>{kStays, 1, 1, kStays}, 10),
            0);
}

}  // namespace
}  // namespace hybridgen::kernels
