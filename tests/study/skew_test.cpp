// The skew against matrices small enough to know, and against what it is for.
#include "study/skew.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace hybridgen {
namespace {

double dot(const std::vector<float>& skew, int n, int a, int b) {
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    sum += static_cast<double>(skew[static_cast<std::size_t>(a * n + i)]) *
           static_cast<double>(skew[static_cast<std::size_t>(b * n + i)]);
  }
  return sum;
}

TEST(Eigenvectors, OfTwoByTwo_asOnPaper) {
  // [[2, 1], [1, 2]]: 3 with (1, 1), 1 with (1, -1).
  const std::vector<double> vectors = symmetric_eigenvectors({2, 1, 1, 2}, 2);
  EXPECT_NEAR(std::abs(vectors[0]), std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(vectors[0], vectors[1], 1e-12);
  EXPECT_NEAR(vectors[2], -vectors[3], 1e-12);
}

TEST(Eigenvectors, OfADiagonal_sortedByFallingValue) {
  const std::vector<double> vectors = symmetric_eigenvectors({1, 0, 0, 0, 5, 0, 0, 0, 3}, 3);
  EXPECT_EQ(vectors, (std::vector<double>{0, 1, 0, 0, 0, 1, 1, 0, 0}));
}

TEST(SkewFit, QueriesAlongOneDirection_firstColumnIsIt) {
  SkewFit fit(4);
  for (const float length : {1.0F, -2.0F, 0.5F}) {
    const float query[4] = {0.6F * length, 0, 0.8F * length, 0};
    fit.add(query);
  }
  const std::vector<float> skew = fit.columns();
  EXPECT_NEAR(std::abs(skew[0]), 0.6, 1e-6);
  EXPECT_NEAR(std::abs(skew[2]), 0.8, 1e-6);
  EXPECT_NEAR(skew[0] * skew[2], 0.48, 1e-6) << "of one sign";
}

TEST(SkewFit, ManyQueries_columnsOrthonormalAndByFallingShare) {
  constexpr int n = 16;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  SkewFit fit(n);
  std::vector<std::vector<float>> queries;
  for (int i = 0; i < 200; ++i) {
    std::vector<float>& query = queries.emplace_back();
    for (int d = 0; d < n; ++d) query.push_back(normal(random) * static_cast<float>(d % 5 + 1));
    fit.add(query.data());
  }
  const std::vector<float> skew = fit.columns();
  std::vector<double> share(n);
  for (int a = 0; a < n; ++a) {
    for (int b = 0; b < n; ++b) EXPECT_NEAR(dot(skew, n, a, b), a == b ? 1 : 0, 1e-5);
    for (const std::vector<float>& query : queries) {
      double sum = 0;
      for (int d = 0; d < n; ++d) {
        sum += static_cast<double>(query[static_cast<std::size_t>(d)]) *
               static_cast<double>(skew[static_cast<std::size_t>(a * n + d)]);
      }
      share[static_cast<std::size_t>(a)] += sum * sum;
    }
    if (a > 0) {
      EXPECT_LE(share[static_cast<std::size_t>(a)], share[static_cast<std::size_t>(a - 1)] * 1.00001);
    }
  }
}

}  // namespace
}  // namespace hybridgen
