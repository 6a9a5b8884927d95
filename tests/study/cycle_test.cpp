#include "study/cycle.hpp"

#include <gtest/gtest.h>

#include <cmath>

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
