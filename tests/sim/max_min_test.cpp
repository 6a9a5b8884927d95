// The equations of max-min sharing, on cases worked out by hand and on random ones.
#include "sim/fluid/max_min.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "core/base/check.hpp"

namespace hybridgen {
namespace {

using ChannelPath = std::vector<ChannelId>;

struct Case {
  std::vector<double> capacity;
  std::vector<double> caps;
  std::vector<ChannelPath> paths;
};

std::vector<double> shared(const std::vector<double>& capacity, const std::vector<double>& caps,
                           const std::vector<ChannelPath>& paths) {
  MaxMin max_min(capacity);
  std::vector<Demand> demands;
  for (std::size_t i = 0; i < paths.size(); ++i) demands.push_back({caps[i], paths[i]});
  std::vector<double> rates(paths.size());
  max_min.share(demands, rates);
  std::vector<double> again(paths.size());
  max_min.share(demands, again);
  EXPECT_EQ(rates, again);
  return rates;
}

ChannelPath path(std::initializer_list<int> ids) {
  ChannelPath channels;
  for (const int id : ids) channels.emplace_back(id);
  return channels;
}

// r1 = r2 = 12 / 2.
TEST(MaxMin, TwoOnOneChannel_halfEach) {
  EXPECT_EQ(shared({12}, {0, 0}, {path({0}), path({0})}), (std::vector<double>{6, 6}));
}

// r1 = cap 2; r2 = r3 = (12 - 2) / 2.
TEST(MaxMin, OneCapped_restIsShared) {
  EXPECT_EQ(shared({12}, {2, 0, 0}, {path({0}), path({0}), path({0})}), (std::vector<double>{2, 5, 5}));
}

// Caps 2 and 3 both lie below 12 / 3 = 4; the third takes 12 - 5 = 7.
TEST(MaxMin, TwoCaps_thirdTakesWhatTheyLeave) {
  EXPECT_EQ(shared({12}, {2, 3, 0}, {path({0}), path({0}), path({0})}), (std::vector<double>{2, 3, 7}));
}

// A cap of 5 lies above 12 / 3 = 4 and still binds once the cap of 1 has left (12 - 1) / 2 = 5.5 to each.
TEST(MaxMin, CapAboveTheFirstLevel_bindsLater) {
  EXPECT_EQ(shared({12}, {1, 5, 0}, {path({0}), path({0}), path({0})}), (std::vector<double>{1, 5, 6}));
}

// The textbook line: x over both channels of 10 and 4, y over the first, z over the second.
// Second: x = z = 2; first: y = 10 - 2 = 8.
TEST(MaxMin, LongAndShortPaths_bottleneckFirst) {
  EXPECT_EQ(shared({10, 4}, {0, 0, 0}, {path({0, 1}), path({0}), path({1})}), (std::vector<double>{2, 8, 2}));
}

TEST(MaxMin, NoChannel_rateIsTheCap) {
  EXPECT_EQ(shared({10}, {3, 0}, {path({}), path({0})}), (std::vector<double>{3, 10}));
}

TEST(MaxMin, NothingToShare_isNothing) {
  EXPECT_TRUE(shared({10}, {}, {}).empty());
}

TEST(MaxMin, NothingLimitsAFlow_isOurBug) {
  MaxMin max_min({10});
  const std::vector<Demand> demands{{0, {}}};
  std::vector<double> rates(1);
  EXPECT_THROW(max_min.share(demands, rates), InternalError);
}

// r_i <= cap_i; sum over a channel <= capacity; and every flow is at its cap, or crosses a full channel on
// which nobody is faster. These determine the rates.
void check_equations(const Case& c, const std::vector<double>& rates) {
  constexpr double kTolerance = 1e-9;
  std::vector<double> load(c.capacity.size(), 0);
  std::vector<double> fastest(c.capacity.size(), 0);
  for (std::size_t i = 0; i < rates.size(); ++i) {
    for (const ChannelId id : c.paths[i]) {
      load[id.index()] += rates[i];
      fastest[id.index()] = std::max(fastest[id.index()], rates[i]);
    }
  }
  for (std::size_t k = 0; k < load.size(); ++k) RC_ASSERT(load[k] <= c.capacity[k] * (1 + kTolerance));
  for (std::size_t i = 0; i < rates.size(); ++i) {
    RC_ASSERT(rates[i] > 0);
    if (c.caps[i] > 0) RC_ASSERT(rates[i] <= c.caps[i]);
    const bool at_cap = c.caps[i] > 0 && rates[i] == c.caps[i];
    const bool bottlenecked = std::any_of(c.paths[i].begin(), c.paths[i].end(), [&](ChannelId id) {
      const std::size_t k = id.index();
      return load[k] >= c.capacity[k] * (1 - kTolerance) && rates[i] >= fastest[k] * (1 - kTolerance);
    });
    RC_ASSERT(at_cap || bottlenecked);
  }
}

Case random_case() {
  Case c;
  const int channels = *rc::gen::inRange(1, 8);
  for (int k = 0; k < channels; ++k) c.capacity.push_back(1e6 * *rc::gen::inRange(1, 200'000));
  const int flows = *rc::gen::inRange(1, 30);
  for (int i = 0; i < flows; ++i) {
    ChannelPath channels_of_flow;
    for (int k = 0; k < channels; ++k) {
      if (*rc::gen::inRange(0, 3) == 0) channels_of_flow.emplace_back(k);
    }
    const bool capped = channels_of_flow.empty() || *rc::gen::inRange(0, 2) == 0;
    c.caps.push_back(capped ? 1e6 * *rc::gen::inRange(1, 200'000) : 0);
    c.paths.push_back(channels_of_flow);
  }
  return c;
}

TEST(MaxMin, RandomDemands_satisfyTheEquations) {
  EXPECT_TRUE(rc::check([] {
    const Case c = random_case();
    check_equations(c, shared(c.capacity, c.caps, c.paths));
  }));
}

// Sharing has no memory of order: the same flows in reverse have the same rates.
TEST(MaxMin, ReversedDemands_sameRates) {
  EXPECT_TRUE(rc::check([] {
    Case c = random_case();
    const std::vector<double> rates = shared(c.capacity, c.caps, c.paths);
    std::reverse(c.caps.begin(), c.caps.end());
    std::reverse(c.paths.begin(), c.paths.end());
    std::vector<double> reversed = shared(c.capacity, c.caps, c.paths);
    std::reverse(reversed.begin(), reversed.end());
    for (std::size_t i = 0; i < rates.size(); ++i)
      RC_ASSERT(std::abs(rates[i] - reversed[i]) <= 1e-9 * rates[i]);
  }));
}

}  // namespace
}  // namespace hybridgen
