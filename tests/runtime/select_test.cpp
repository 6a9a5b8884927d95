// Selection against a full stable sort, on the inputs that break shortcuts: ties, constants, sorted,
// infinities.
#include "runtime/kernels/select.hpp"

#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "tests/runtime/kernel_fixture.hpp"

namespace hybridgen::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The k best among `allowed`, ties to the lower index, ascending.
std::vector<std::int32_t> best_of(const std::vector<float>& scores, std::vector<std::int32_t> allowed,
                                  std::int64_t k) {
  std::stable_sort(allowed.begin(), allowed.end(), [&](std::int32_t a, std::int32_t b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  allowed.resize(std::min(allowed.size(), static_cast<std::size_t>(k)));
  std::sort(allowed.begin(), allowed.end());
  return allowed;
}

std::vector<std::int32_t> all_of(const std::vector<float>& scores) {
  std::vector<std::int32_t> all(scores.size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

struct Selected {
  std::vector<std::int32_t> indices;
  std::vector<float> scores;
  bool intact = false;
};

template <class Select>
Selected run(std::int64_t n, std::int64_t bound, Select select) {
  const std::int64_t room = std::min(n, bound);
  Guarded<std::uint32_t> scratch(select_scratch(n));
  Guarded<std::int32_t> indices(room);
  Guarded<float> chosen(room);
  const std::int64_t count = select(scratch.data(), indices.data(), chosen.data());
  Selected result;
  result.indices.assign(indices.data(), indices.data() + count);
  result.scores.assign(chosen.data(), chosen.data() + count);
  result.intact = scratch.intact() && indices.intact() && chosen.intact();
  return result;
}

class Select : public KernelTest {
 protected:
  void expect_top_k(const std::vector<float>& scores, std::int64_t k) {
    const auto n = static_cast<std::int64_t>(scores.size());
    const Selected got = run(n, k, [&](std::uint32_t* scratch, std::int32_t* indices, float* chosen) {
      return select_top_k(scores.data(), n, k, scratch, indices, chosen);
    });
    ASSERT_EQ(got.indices, best_of(scores, all_of(scores), k)) << "n " << n << " k " << k;
    expect_scores(scores, got);
  }

  void expect_threshold(const std::vector<float>& scores, float alpha, std::int64_t bound) {
    const auto n = static_cast<std::int64_t>(scores.size());
    const Selected got = run(n, bound, [&](std::uint32_t* scratch, std::int32_t* indices, float* chosen) {
      return select_threshold(scores.data(), n, alpha, bound, scratch, indices, chosen);
    });
    const float least = *std::max_element(scores.begin(), scores.end()) - alpha;
    std::vector<std::int32_t> allowed = all_of(scores);
    std::erase_if(allowed, [&](std::int32_t i) { return scores[static_cast<std::size_t>(i)] < least; });
    ASSERT_EQ(got.indices, best_of(scores, allowed, bound)) << "n " << n << " alpha " << alpha;
    expect_scores(scores, got);
  }

  static void expect_scores(const std::vector<float>& scores, const Selected& got) {
    for (std::size_t i = 0; i < got.indices.size(); ++i) {
      ASSERT_EQ(got.scores[i], scores[static_cast<std::size_t>(got.indices[i])]);
    }
    EXPECT_TRUE(got.intact);
  }

  void expect_both(const std::vector<float>& scores) {
    const auto n = static_cast<std::int64_t>(scores.size());
    for (const std::int64_t k : {std::int64_t{1}, n / 20 + 1, n / 3 + 1, n - 1, n, n + 9}) {
      if (k < 1) continue;
      expect_top_k(scores, k);
      for (const float alpha : {0.0f, 0.3f, 5.0f, 1e9f}) expect_threshold(scores, alpha, k);
    }
  }
};
HG_FOR_EVERY_ISA(Select);

TEST_P(Select, RandomScores_equalAFullSort) {
  for (const std::int64_t n : {1, 2, 15, 16, 17, 255, 1023, 1024, 1025, 4099, 20011}) {
    expect_both(random_floats(n, 8.0f));
  }
}

TEST_P(Select, Constant_takesTheLowestIndices) {
  for (const std::int64_t n : {1, 31, 2048, 5000}) {
    for (const float value : {0.0f, -3.5f, 7.25f})
      expect_both(std::vector<float>(static_cast<std::size_t>(n), value));
  }
}

TEST_P(Select, SortedBothWays_equalAFullSort) {
  std::vector<float> scores = random_floats(4001, 20.0f);
  std::sort(scores.begin(), scores.end());
  expect_both(scores);
  std::reverse(scores.begin(), scores.end());
  expect_both(scores);
}

TEST_P(Select, ManyTies_takeTheLowerIndex) {
  for (const std::int64_t n : {100, 3000, 9001}) {
    std::vector<float> scores;
    for (std::int64_t i = 0; i < n; ++i) scores.push_back(static_cast<float>(random_int(-2, 2)));
    for (float& x : scores) x = x == 0.0f && random_int(0, 1) ? -0.0f : x;  // -0 and +0 tie
    expect_both(scores);
  }
}

// The sample that guesses a threshold sees every n/256-th score: here it sees only large ones, the guess
// fails.
TEST_P(Select, SampleSeesOnlyOutliers_stillExact) {
  std::vector<float> scores = random_floats(256 * 40, 1.0f);
  for (std::size_t i = 0; i < scores.size(); i += 40) scores[i] += 100.0f;
  expect_top_k(scores, 200);
  expect_top_k(scores, 512);
  expect_top_k(scores, 2000);
}

// Scores that rise or fall along the context, with noise: the sample sees both ends.
TEST_P(Select, DriftingScores_equalAFullSort) {
  for (const float slope : {0.01f, -0.01f, 1e-4f}) {
    std::vector<float> scores = random_floats(9000, 2.0f);
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] += slope * static_cast<float>(i);
    expect_both(scores);
  }
}

// All but a few scores equal the largest of the sample, or lie one step of fp32 apart.
TEST_P(Select, AdversarialPlateaus_stillExact) {
  std::vector<float> scores(8192, 1.0f);
  for (std::size_t i = 0; i < scores.size(); i += 7) scores[i] = std::nextafter(1.0f, 2.0f);
  for (std::size_t i = 5; i < scores.size(); i += 511) scores[i] = -1e30f;
  expect_both(scores);
  for (std::size_t i = 0; i < scores.size(); i += 32) scores[i] = -5.0f;  // every score of the sample
  expect_both(scores);
}

TEST_P(Select, InfiniteScores_areOrdinaryValues) {
  std::vector<float> scores = random_floats(2000, 1e30f);
  for (std::size_t i = 0; i < scores.size(); i += 3) scores[i] = -kInfinity;
  expect_top_k(scores, 10);
  expect_top_k(scores, 1800);
  scores[77] = kInfinity;
  expect_top_k(scores, 10);
  expect_top_k(std::vector<float>(100, -kInfinity), 7);
}

TEST_P(Select, BestMargins_areTheLargestOverHeads) {
  for (const int heads : {1, 3, 8}) {
    for (const std::int64_t n : {1, 7, 8, 15, 16, 17, 255, 300}) {
      const std::int64_t stride = n + 5;
      std::vector<float> scores = random_floats(heads * stride, 4.0f);
      if (n > 2) scores[2] = -kInfinity;
      const std::vector<float> most = random_floats(heads, 4.0f);
      Guarded<float> margins(n);
      best_margins(scores.data(), stride, heads, n, most.data(), margins.data());
      for (std::int64_t i = 0; i < n; ++i) {
        float expected = -kInfinity;
        for (int head = 0; head < heads; ++head) {
          expected = std::max(expected, scores[static_cast<std::size_t>(head * stride + i)] -
                                            most[static_cast<std::size_t>(head)]);
        }
        ASSERT_EQ(margins.data()[i], expected) << heads << " heads, row " << i << " of " << n;
      }
      EXPECT_TRUE(margins.intact());
    }
  }
}

// Lists of any lengths, at the edges of a 32-bit word, the lists as far apart as a caller may put them.
TEST(UniteRows, AnyLists_areTheirSetInOrder) {
  std::mt19937 random(3);
  for (const std::int64_t n : {1, 31, 32, 33, 64, 500}) {
    for (const int lists : {1, 2, 5}) {
      const std::int64_t stride = n + 3;
      Guarded<std::int32_t> rows(lists * stride);
      Guarded<std::uint32_t> scratch(select_scratch(n));
      std::vector<std::int64_t> counts;
      std::set<std::int32_t> expected;
      for (int list = 0; list < lists; ++list) {
        std::int64_t count = 0;
        for (std::int32_t i = 0; i < n; ++i) {
          if (random() % 3 != 0 && i != n - 1) continue;
          rows.data()[list * stride + count++] = i;
          expected.insert(i);
        }
        counts.push_back(count);
      }
      const std::int64_t count = unite_rows(rows.data(), stride, counts.data(), lists, n, scratch.data());
      EXPECT_EQ(std::vector<std::int32_t>(rows.data(), rows.data() + count),
                std::vector<std::int32_t>(expected.begin(), expected.end()))
          << n << " rows, " << lists << " lists";
      EXPECT_TRUE(rows.intact() && scratch.intact());
    }
  }
}

TEST_P(Select, NothingAskedOrGiven_writesNothing) {
  const float score = 1.0f;
  EXPECT_EQ(select_top_k(&score, 1, 0, nullptr, nullptr, nullptr), 0);
  EXPECT_EQ(select_top_k(&score, 0, 5, nullptr, nullptr, nullptr), 0);
  EXPECT_EQ(select_threshold(&score, 1, 1.0f, 0, nullptr, nullptr, nullptr), 0);
}

}  // namespace
}  // namespace hybridgen::kernels
