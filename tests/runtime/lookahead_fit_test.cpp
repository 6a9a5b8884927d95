// The pieces of fit-lookahead, and the small kernels of lookahead, on problems whose answers are known.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "runtime/host/request_buffers.hpp"
#include "runtime/kernels/line_fit.hpp"
#include "runtime/lookahead/fit_predictor.hpp"
#include "runtime/lookahead/prediction_error.hpp"
#include "runtime/lookahead/ridge_fit.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen {
namespace {

std::vector<float> normal_numbers(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(LineFit, PointsOnALine_givesIt) {
  const std::vector<float> x = {1, 2, 4, 7};
  std::vector<float> y;
  for (const float value : x) y.push_back(2.5F * value - 3);
  const kernels::Line line = kernels::fit_line(x.data(), y.data(), 4);
  EXPECT_NEAR(line.slope, 2.5F, 1e-6F);
  EXPECT_NEAR(line.shift, -3, 1e-5F);
}

// By hand: x {0, 1, 2}, y {0, 2, 1}: slope 1/2, through the means (1, 1).
TEST(LineFit, PointsOffALine_leastSquares) {
  const std::vector<float> x = {0, 1, 2}, y = {0, 2, 1};
  const kernels::Line line = kernels::fit_line(x.data(), y.data(), 3);
  EXPECT_FLOAT_EQ(line.slope, 0.5F);
  EXPECT_FLOAT_EQ(line.shift, 0.5F);
}

TEST(LineFit, NoSpread_slopeOneAndTheMeanDifference) {
  const std::vector<float> x = {3, 3, 3}, y = {4, 5, 6};
  const kernels::Line line = kernels::fit_line(x.data(), y.data(), 3);
  EXPECT_EQ(line.slope, 1);
  EXPECT_EQ(line.shift, 2);
  EXPECT_EQ(kernels::fit_line(x.data(), y.data(), 0).shift, 0);
}

TEST(SegmentRuns, SinksAndWrappedRing_everyTokenOnceInOrder) {
  constexpr Tokens kSlots = 7, kSinks = 3;
  for (Tokens first = 0; first < 20; ++first) {
    for (Tokens count = 0;
         first < kSinks ? count + std::max<Tokens>(first, 0) <= kSlots : count <= kSlots - kSinks; ++count) {
      Tokens position = first;
      for (const SlotRun& run : segment_runs(first, count, kSlots, kSinks)) {
        for (Tokens i = 0; i < run.count; ++i, ++position) {
          EXPECT_EQ(run.slot + i, segment_slot(position, kSlots, kSinks)) << first << " + " << count;
        }
      }
      EXPECT_EQ(position, first + count);
    }
  }
  EXPECT_EQ(segment_slot(2, kSlots, kSinks), 2);
  EXPECT_EQ(segment_slot(7, kSlots, kSinks), 3) << "the ring has four slots";
}

// y = x B with B of rank 2: a fit of that rank finds it.
TEST(RidgeFit, LowRankTruth_found) {
  constexpr std::int64_t kSamples = 300, kInputs = 12, kOutputs = 9;
  const std::vector<float> x = normal_numbers(kSamples * kInputs, 1);
  const std::vector<float> left = normal_numbers(kInputs * 2, 2), right = normal_numbers(2 * kOutputs, 3);
  std::vector<float> y(kSamples * kOutputs);
  const auto truth = [&](std::int64_t i, std::int64_t o) {
    return left[static_cast<std::size_t>(i * 2)] * right[static_cast<std::size_t>(o)] +
           left[static_cast<std::size_t>(i * 2 + 1)] * right[static_cast<std::size_t>(kOutputs + o)];
  };
  for (std::int64_t s = 0; s < kSamples; ++s) {
    for (std::int64_t o = 0; o < kOutputs; ++o) {
      float sum = 0;
      for (std::int64_t i = 0; i < kInputs; ++i)
        sum += x[static_cast<std::size_t>(s * kInputs + i)] * truth(i, o);
      y[static_cast<std::size_t>(s * kOutputs + o)] = sum;
    }
  }
  const LowRank fit = ridge_fit({kSamples, kInputs, kOutputs, x.data(), y.data()}, 2, 1e-6);
  ASSERT_EQ(fit.down.size(), 2u * kInputs);
  ASSERT_EQ(fit.up.size(), 2u * kOutputs);
  for (std::int64_t i = 0; i < kInputs; ++i) {
    for (std::int64_t o = 0; o < kOutputs; ++o) {
      const float found =
          fit.up[static_cast<std::size_t>(o * 2)] * fit.down[static_cast<std::size_t>(i)] +
          fit.up[static_cast<std::size_t>(o * 2 + 1)] * fit.down[static_cast<std::size_t>(kInputs + i)];
      EXPECT_NEAR(found, truth(i, o), 2e-3F);
    }
  }
}

// One input, one output: B = sum(xy) / (sum(xx) + ridge x sum(xx)).
TEST(RidgeFit, OneNumber_shrinksByTheRidge) {
  const std::vector<float> x = {1, 2, 2}, y = {2, 4, 4};
  const LowRank fit = ridge_fit({3, 1, 1, x.data(), y.data()}, 1, 0.25);
  EXPECT_NEAR(fit.up[0] * fit.down[0], 2 / 1.25, 1e-5);
}

TEST(PredictionError, ScaledAndShiftedLogits_correctedToNothing) {
  ModelShape shape = testing::tiny_shape();
  constexpr std::size_t kTokens = 80;
  const std::vector<float> queries = normal_numbers(kTokens * 96, 4);
  const std::vector<float> keys = normal_numbers(kTokens * 32, 5);
  std::vector<float> half = queries;
  for (float& value : half) value *= 0.5F;  // logits half as large: an error of half their size
  const PredictionError error = prediction_error(shape, queries, half, keys, 60);
  EXPECT_NEAR(error.cosine, 1, 1e-6);
  EXPECT_NEAR(error.error_permille[0], 500, 15);
  EXPECT_EQ(error.error_permille[1], 0);
  EXPECT_EQ(prediction_error(shape, queries, queries, keys, 60).error_permille[0], 0);
}

// On a tiny model the fitted prediction must come nearer than the plain one in every layer, held out.
TEST(FitPredictor, TinyModel_fittedQueriesAreNearerThanPlainOnes) {
  const auto model = testing::tiny_model();
  const std::vector<std::int32_t> ids = testing::prompt_of(400, 200, 3);
  const auto inputs = layer_inputs(model, ids, 1);
  ASSERT_EQ(inputs.size(), 3u);
  EXPECT_EQ(inputs[2].size(), 400u * 96);
  const auto layers = fit_predictor(*model, inputs, {16, 0.01, 320, {}}, 2);
  EXPECT_TRUE(layers[0].down.empty());
  for (std::size_t i = 1; i < layers.size(); ++i) {
    EXPECT_EQ(layers[i].down.size(), 16u * 96);
    EXPECT_EQ(layers[i].up.size(), 96u * 16);
    EXPECT_GT(layers[i].cosine[1], layers[i].cosine[0]) << i;
    EXPECT_LT(layers[i].error_permille[1][1], layers[i].error_permille[0][0]) << i;
  }
}

}  // namespace
}  // namespace hybridgen
