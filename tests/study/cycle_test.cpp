#include "study/cycle.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

namespace hybridgen {
namespace {

TEST(FindCycle, constantSeries_isSteady) {
  const Cycle cycle = find_cycle(std::vector<double>(40, 7.0));
  EXPECT_TRUE(cycle.steady);
  EXPECT_EQ(cycle.period, 0U);
  EXPECT_EQ(cycle.amplitude, 0);
}

TEST(FindCycle, settlingThenRest_isSteady) {
  std::vector<double> series;
  for (int i = 0; i < 60; ++i) series.push_back(100 + 80 * std::exp(-i / 3.0));
  EXPECT_TRUE(find_cycle(series).steady);
}

TEST(FindCycle, sawtoothOfFive_hasPeriodFiveAndItsAmplitude) {
  std::vector<double> series;
  for (int i = 0; i < 60; ++i) series.push_back(8 + i % 5);  // 8 to 12, mean 10
  const Cycle cycle = find_cycle(series);
  EXPECT_FALSE(cycle.steady);
  EXPECT_EQ(cycle.period, 5U);
  EXPECT_DOUBLE_EQ(cycle.amplitude, 0.4);
}

TEST(FindCycle, sawtoothThatDriftsByLittle_isStillACycle) {
  std::vector<double> series;
  for (int i = 0; i < 60; ++i) series.push_back((8 + i % 3) * (1 + i * 1e-4));
  EXPECT_EQ(find_cycle(series).period, 3U);
}

// Grows by a fifth until it is over its limit, then halves: 3.8 rises to a fall, so rounds of five and of
// four.
TEST(FindCycle, roundsOfFourAndFive_areACycleOfTheirMean) {
  std::vector<double> series;
  double value = 100;
  for (int i = 0; i < 80; ++i) {
    series.push_back(value);
    value *= value > 200 ? 0.5 : 1.2;
  }
  const Cycle cycle = find_cycle(series, 0.05);
  EXPECT_FALSE(cycle.steady);
  EXPECT_EQ(cycle.period, 5U);
  EXPECT_NEAR(cycle.mean_period, 4.8, 0.1);
  EXPECT_GT(cycle.amplitude, 0.6);
}

TEST(FindCycle, peaksAtRandom_areNoCycle) {
  std::vector<double> series;
  std::uint32_t state = 1;
  for (int i = 0; i < 200; ++i) {
    state = state * 1664525U + 1013904223U;
    series.push_back(100 + (state >> 16) % 50);
  }
  EXPECT_EQ(find_cycle(series, 0.05).period, 0U);
}

TEST(FindCycle, growingSeries_isNeitherSteadyNorACycle) {
  std::vector<double> series;
  for (int i = 0; i < 60; ++i) series.push_back(i);
  const Cycle cycle = find_cycle(series);
  EXPECT_FALSE(cycle.steady);
  EXPECT_EQ(cycle.period, 0U);
}

TEST(FindCycle, tooShort_saysNothing) {
  EXPECT_FALSE(find_cycle({1.0}).steady);
  EXPECT_EQ(find_cycle({1.0, 2.0, 1.0, 2.0}).period, 0U) << "two entries of a second half repeat nothing";
}

}  // namespace
}  // namespace hybridgen
