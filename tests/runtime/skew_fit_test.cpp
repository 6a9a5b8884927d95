// The skew against queries whose directions are known, and against what it is for.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "runtime/kernels/elementwise.hpp"
#include "runtime/lookahead/fit_predictor.hpp"
#include "runtime/lookahead/layer_queries.hpp"
#include "runtime/lookahead/skew_fit.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen {
namespace {

ModelShape shape_of(int query_heads, int kv_heads, int head_dim) {
  ModelShape shape;
  shape.query_heads = query_heads;
  shape.kv_heads = kv_heads;
  shape.head_dim = head_dim;
  return shape;
}

// Two query heads of one KV head look along (3, 0, 4, 0) and (0, 1, 0, 0), the first much more.
TEST(SkewFit, QueriesAlongTwoDirections_areTheFirstColumnsByTheirShare) {
  const ModelShape shape = shape_of(2, 1, 4);
  std::vector<float> queries;
  for (const float length : {1.0F, -2.0F, 0.5F}) {
    for (const float value : {3 * length, 0.0F, 4 * length, 0.0F, 0.0F, length, 0.0F, 0.0F})
      queries.push_back(value);
  }
  const std::vector<float> skew = skew_of(shape, queries);
  ASSERT_EQ(skew.size(), 16U);
  const float sign = skew[0] < 0 ? -1.0F : 1.0F;
  const std::vector<float> first = {0.6F, 0, 0.8F, 0};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(sign * skew[i], first[i], 1e-6F) << i;
  EXPECT_NEAR(std::abs(skew[5]), 1, 1e-6F);
}

// Each KV head has the queries of its own group, and no others.
TEST(SkewFit, TwoKvHeads_eachItsGroupsDirection) {
  const ModelShape shape = shape_of(4, 2, 2);
  const std::vector<float> skew = skew_of(shape, {1, 0, 2, 0, 0, 3, 0, 1});
  EXPECT_NEAR(std::abs(skew[0]), 1, 1e-6F);
  EXPECT_NEAR(std::abs(skew[4 + 1]), 1, 1e-6F);
}

// On a model: columns are orthonormal, so that scores stay what they are, and each carries no more of the
// queries than the one before.
TEST(SkewFit, OfAModel_keepsScoresAndSortsColumns) {
  const auto model = testing::tiny_model();
  const ModelShape& shape = model->shape;
  const int dim = shape.head_dim;
  const auto inputs = layer_inputs(model, testing::prompt_of(80, shape.vocab, 5), 2);
  const auto skew = fit_skew(*model, inputs, 2);
  ASSERT_EQ(skew.size(), static_cast<std::size_t>(shape.layers));
  for (std::size_t layer = 0; layer < skew.size(); ++layer) {
    const LayerQueries of(*model, static_cast<int>(layer), inputs[layer], inputs[layer]);
    const std::vector<float> queries = of.true_queries();
    for (int kv = 0; kv < shape.kv_heads; ++kv) {
      const float* columns = skew[layer].data() + kv * dim * dim;
      double before = 1e30;
      for (int a = 0; a < dim; ++a) {
        for (int b = 0; b < dim; ++b) {
          EXPECT_NEAR(kernels::dot(columns + a * dim, columns + b * dim, dim), a == b ? 1 : 0, 1e-5F);
        }
        double share = 0;
        for (int t = 0; t < 80; ++t) {
          for (int head = kv * shape.group(); head < (kv + 1) * shape.group(); ++head) {
            const float* q = queries.data() + t * shape.q_width() + head * dim;
            share += std::pow(static_cast<double>(kernels::dot(q, columns + a * dim, dim)), 2);
          }
        }
        EXPECT_LE(share, before * 1.00001);
        before = share;
      }
    }
  }
}

}  // namespace
}  // namespace hybridgen
