// The feedback rule by hand: every step, bound and order, and where it comes to rest.
#include "core/policy/feedback_rule.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace hybridgen {
namespace {

constexpr Tokens kHost = 30'000;

FeedbackSetting step(FeedbackSetting now, SplitMove move, const FeedbackLimits& limits = {},
                     Tokens host_tokens = kHost) {
  return feedback_step(now, move, limits, host_tokens);
}

[[maybe_unused]] void PrintTo(const FeedbackSetting& s, std::ostream* out) {
  *out << "ratio " << s.ratio << " ppm, cap " << s.cap;
}

TEST(FeedbackMove, equalTimes_grow) {
  EXPECT_EQ(feedback_move(100, 100, {}), SplitMove::grow);
  EXPECT_EQ(feedback_move(101, 100, {}), SplitMove::shrink);
}

TEST(FeedbackMove, deadBand_keepsWithinItAlone) {
  FeedbackLimits limits;
  limits.dead_band_permille = 100;
  EXPECT_EQ(feedback_move(1100, 1000, limits), SplitMove::keep);
  EXPECT_EQ(feedback_move(900, 1000, limits), SplitMove::keep);
  EXPECT_EQ(feedback_move(1101, 1000, limits), SplitMove::shrink);
  EXPECT_EQ(feedback_move(899, 1000, limits), SplitMove::grow);
}

TEST(FeedbackStep, keep_changesNothing) {
  EXPECT_EQ(step({50'000, 77}, SplitMove::keep), (FeedbackSetting{50'000, 77}));
}

TEST(FeedbackStep, grow_ratioTimes1point2_upToItsBound) {
  EXPECT_EQ(step({50'000, 0}, SplitMove::grow), (FeedbackSetting{60'000, 0}));
  EXPECT_EQ(step({450'000, 0}, SplitMove::grow), (FeedbackSetting{500'000, 0}));
}

TEST(FeedbackStep, grow_capTimes1point2_andUnlimitedAtTheHostLength) {
  EXPECT_EQ(step({50'000, 1000}, SplitMove::grow).cap, 1200);
  EXPECT_EQ(step({50'000, 3}, SplitMove::grow).cap, 4) << "at least one more";
  EXPECT_EQ(step({50'000, 25'000}, SplitMove::grow).cap, 0) << "30,000 are all there are";
}

TEST(FeedbackStep, shrink_bothAtOnce) {
  EXPECT_EQ(step({50'000, 0}, SplitMove::shrink), (FeedbackSetting{40'000, 15'000}));
  EXPECT_EQ(step({40'000, 15'000}, SplitMove::shrink), (FeedbackSetting{32'000, 7'500}));
  EXPECT_EQ(step({10'000, 40}, SplitMove::shrink), (FeedbackSetting{10'000, 32}));
}

TEST(FeedbackStep, shrink_capOnlyAtTheRatiosFloor) {
  FeedbackLimits limits;
  limits.cap_after_ratio = true;
  EXPECT_EQ(step({12'000, 0}, SplitMove::shrink, limits), (FeedbackSetting{10'000, 0}));
  EXPECT_EQ(step({10'000, 0}, SplitMove::shrink, limits), (FeedbackSetting{10'000, 15'000}));
}

TEST(FeedbackStep, shrink_fewHostTokens_neverCapsBelowTheLeast) {
  EXPECT_EQ(step({50'000, 0}, SplitMove::shrink, {}, 20).cap, 0) << "32 of 20 tokens are all";
  EXPECT_EQ(step({50'000, 0}, SplitMove::shrink, {}, 50).cap, 32);
}

// A host whose time is fixed + scan x tokens + pack x rows, as the records of a run give it.
struct Host {
  TimeNs fixed, per_scanned, per_row;
  TimeNs time(const FeedbackSetting& s) const {
    const Tokens scanned = s.cap == 0 ? kHost : std::min(s.cap, kHost);
    return fixed + per_scanned * scanned + per_row * std::min(scanned, s.ratio * kHost / kPpmOne);
  }
};

TEST(FeedbackLoop, publishedRule_neverRests) {
  const Host host{1'000, 10, 40};
  FeedbackSetting setting{50'000, 0};
  int moves = 0;
  for (int i = 0; i < 200; ++i) {
    const FeedbackSetting next = step(setting, feedback_move(host.time(setting), 100'000, {}));
    moves += next == setting ? 0 : 1;
    setting = next;
  }
  EXPECT_EQ(moves, 200);
}

TEST(FeedbackLoop, deadBandOfTenPercent_restsWhereverTheDeviceTimeLies) {
  FeedbackLimits limits;
  limits.dead_band_permille = 100;
  for (const Host& host : {Host{1'000, 10, 40}, Host{0, 1, 200}, Host{20'000, 20, 0}}) {
    for (const TimeNs device : {40'000, 100'000, 250'000}) {
      for (const bool cap_after_ratio : {false, true}) {
        limits.cap_after_ratio = cap_after_ratio;
        FeedbackSetting setting{50'000, 0};
        for (int i = 0; i < 60; ++i) {
          setting = step(setting, feedback_move(host.time(setting), device, limits), limits);
        }
        const FeedbackSetting later =
            step(setting, feedback_move(host.time(setting), device, limits), limits);
        EXPECT_EQ(later, setting) << "device " << device << " scan " << host.per_scanned;
      }
    }
  }
}

}  // namespace
}  // namespace hybridgen
