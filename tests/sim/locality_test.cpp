// The locality law, the source that draws from it, and the fit that finds a law again.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/base/error.hpp"
#include "sim/world/count_figures.hpp"
#include "sim/world/fit_locality.hpp"
#include "sim/world/fixed_point.hpp"
#include "sim/world/locality_outcomes.hpp"

namespace hybridgen {
namespace {

double as_share(std::int64_t share) {
  return static_cast<double>(share) / kWholeShare;
}

TEST(FixedPoint, LogarithmPowerAndRoot_areThoseOfTheLibrary) {
  for (const std::int64_t value : {1LL, 2LL, 3LL, 7LL, 1000LL, 123'456'789LL, 1LL << 34}) {
    const double log = static_cast<double>(log2_q24(value)) / kQ24One;
    EXPECT_NEAR(log, std::log2(static_cast<double>(value)), 2e-7) << value;
  }
  for (const double exponent : {-7.3, -1.0, -0.25, 0.0, 0.5, 0.99, 3.7, 28.0}) {
    const double power = static_cast<double>(exp2_q24(std::llround(exponent * kQ24One))) / kQ24One;
    EXPECT_NEAR(power / std::exp2(exponent), 1, 1e-5) << exponent;
  }
  EXPECT_EQ(exp2_q24(-60 * kQ24One), 0);
  EXPECT_EQ(integer_root(0), 0);
  EXPECT_EQ(integer_root(99), 9);
  EXPECT_EQ(integer_root(100), 10);
  EXPECT_EQ(integer_root(1LL << 62), 1LL << 31);
}

// By hand, p 1/4, r 1/2, three heads: 3/4 x (3/8 + 1/2) / 1 x (3/8 + 1) / (3/2) = 0.6015625 are left out.
TEST(UnionShare, OfThreeHeads_asByHand) {
  EXPECT_NEAR(as_share(union_share(kWholeShare / 4, 500'000, 3)), 1 - 0.6015625, 1e-7);
}

TEST(UnionShare, AtItsEnds_isIndependentOrOneChoice) {
  for (const int group : {1, 2, 3, 4, 8, 64, 128}) {
    for (const double p : {0.0001, 0.01, 0.3, 0.99}) {
      const auto chosen = static_cast<std::int64_t>(p * kWholeShare);
      EXPECT_NEAR(as_share(union_share(chosen, 0, group)), 1 - std::pow(1 - p, group), 1e-6)
          << p << " " << group;
      EXPECT_EQ(union_share(chosen, kPpmOne, group), chosen) << p << " " << group;
    }
  }
}

TEST(UnionShare, GrowsWithHeadsAndChoice_fallsWithCorrelation) {
  for (const Ppm correlation : {0L, 50'000L, 300'000L, 900'000L}) {
    for (std::int64_t chosen = kWholeShare / 100; chosen < kWholeShare / 2; chosen += kWholeShare / 20) {
      for (int group = 2; group <= 16; group *= 2) {
        const std::int64_t share = union_share(chosen, correlation, group);
        EXPECT_GT(share, union_share(chosen, correlation, group / 2));
        EXPECT_GT(share, union_share(chosen - kWholeShare / 200, correlation, group));
        EXPECT_GT(share, union_share(chosen, correlation + 50'000, group));
        EXPECT_LE(share, std::min(kWholeShare, group * chosen));
      }
    }
  }
}

constexpr int kLayers = 2;

// Layer 0 alike and wide, layer 1 neither.
Locality known() {
  Locality fit;
  fit.model = "known";
  fit.layers = kLayers;
  fit.mean_rows = 1000;
  fit.persistence_permille = 400;
  fit.overlap = {{10'000, {600'000, 100'000}, {40, 60}, {0, 0}},
                 {160'000, {400'000, 300'000}, {20, 30}, {0, 0}}};
  fit.thresholds = {{2000, {70'000, 2'500}, {800, 900}, {1000, 2000}, {100, 600}, {0, 0}},
                    {4000, {280'000, 10'000}, {800, 900}, {1000, 2000}, {50, 400}, {0, 0}}};
  return fit;
}

Selection top_k(int layer, std::int64_t rows, Tokens tokens, int group = 4, std::int64_t heads = 2) {
  return {SelectRule::top_k, 0, layer, heads, group, rows, tokens};
}
Selection over(std::int64_t alpha_milli, int layer, std::int64_t rows, Tokens tokens) {
  return {SelectRule::threshold, alpha_milli, layer, 8, 1, rows, tokens};
}
double expected_share(const Locality& fit, const Selection& selection) {
  return as_share(LocalityLaw(fit, kLayers).expected(selection).share);
}

// 4 % lies in the middle of 1 and 16 % by logarithm.
TEST(LocalityLaw, CorrelationBetweenPoints_isLinearInLogShare) {
  EXPECT_NEAR(expected_share(known(), top_k(0, 40, 1000)),
              as_share(union_share(share_of(40, 1000), 500'000, 4)), 1e-5);
  EXPECT_NEAR(expected_share(known(), top_k(1, 40, 1000)),
              as_share(union_share(share_of(40, 1000), 200'000, 4)), 1e-5);
}

TEST(LocalityLaw, BeyondThePoints_keepsTheLastCorrelation) {
  EXPECT_EQ(LocalityLaw(known(), kLayers).expected(top_k(0, 1, 10'000)).share,
            union_share(share_of(1, 10'000), 600'000, 4));
  EXPECT_EQ(LocalityLaw(known(), kLayers).expected(top_k(0, 900, 1000)).share,
            union_share(share_of(900, 1000), 400'000, 4));
}

TEST(LocalityLaw, RowsOverAThreshold_followCapAlphaAndLength) {
  // Sharpness 1: c m / (c + m).
  EXPECT_NEAR(expected_share(known(), over(2000, 0, 550, 1000)), 0.55 * 0.07 / 0.62, 1e-5);
  EXPECT_NEAR(expected_share(known(), over(2000, 0, 50, 1000)), 0.05 * 0.07 / 0.12, 1e-5);
  EXPECT_NEAR(expected_share(known(), over(2000, 0, 1000, 1000)), 0.07 / 1.07, 1e-5);
  // Sharpness 2, cap and free share the same: 1 / sqrt(2) of both.
  EXPECT_NEAR(expected_share(known(), over(4000, 1, 10, 1000)), 0.01 / std::sqrt(2), 1e-6);
  // The free share of alpha 3 is the geometric mean of those of 2 and 4.
  EXPECT_NEAR(expected_share(known(), over(3000, 0, 1000, 1000)), 0.14 / 1.14, 1e-5);
  // 32 times the rows: 32^-0.2 = 1/2 of the free share.
  EXPECT_NEAR(expected_share(known(), over(4000, 0, 32'000, 32'000)), 0.14 / 1.14, 1e-5);
  // The largest logit is one row at least.
  EXPECT_NEAR(expected_share(known(), over(2000, 1, 20, 20)), 0.05, 1e-5);
}

// Half of a change gets through where cap and free share are the same, nothing where the cap is far below.
TEST(LocalityLaw, ScatterUnderACap_isWhatGetsThrough) {
  const LocalityLaw law(known(), kLayers);
  EXPECT_EQ(law.expected(over(4000, 1, 1000, 1000)).step_permille, 399);  // 400 but for 1 / 10,001
  EXPECT_NEAR(static_cast<double>(law.expected(over(4000, 1, 10, 1000)).step_permille), 200, 1);
  EXPECT_LT(law.expected(over(4000, 0, 1, 100'000)).step_permille, 2);
}

TEST(LocalityLaw, GroupWithAThreshold_unitesWhatItsHeadsTake) {
  Selection selection = over(4000, 1, 1000, 1000);
  selection.group = 4;
  selection.heads = 2;
  EXPECT_NEAR(expected_share(known(), selection), as_share(union_share(kWholeShare / 100, 100'000, 4)), 1e-5);
}

TEST(LocalityLaw, OtherNumberOfLayers_isSpreadOverTheFittedOnes) {
  const LocalityLaw law(known(), 80);
  EXPECT_EQ(law.expected(top_k(39, 40, 1000)).share, law.expected(top_k(0, 40, 1000)).share);
  EXPECT_NE(law.expected(top_k(40, 40, 1000)).share, law.expected(top_k(0, 40, 1000)).share);
  EXPECT_EQ(law.expected(top_k(40, 40, 1000)).share, law.expected(top_k(79, 40, 1000)).share);
}

std::string complaint(const Locality& fit, const Selection& selection) {
  try {
    LocalityLaw(fit, kLayers).expected(selection);
  } catch (const BadInput& error) {
    return error.what();
  }
  return "";
}

TEST(LocalityLaw, WhatWasNotFitted_isRefusedWithARemedy) {
  EXPECT_NE(
      complaint(known(), over(4500, 0, 10, 100)).find("alpha 4.500 was not fitted (runs with 2 to 4 were)"),
      std::string::npos)
      << complaint(known(), over(4500, 0, 10, 100));
  Locality bare = known();
  bare.thresholds.clear();
  EXPECT_NE(complaint(bare, over(2000, 0, 10, 100)).find("no run with select: threshold"), std::string::npos);
  bare.overlap.clear();
  EXPECT_NE(complaint(bare, top_k(0, 10, 100)).find("select_by: kv-group"), std::string::npos);
}

ModelShape shape() {
  ModelShape model;
  model.name = "known";
  model.layers = kLayers;
  model.query_heads = 8;
  model.kv_heads = 2;
  return model;
}

std::int64_t drawn(const LocalityOutcomes& outcomes, const Selection& selection, int request,
                   std::int64_t step) {
  const bool threshold = selection.rule == SelectRule::threshold;
  const std::int64_t most =
      std::min<std::int64_t>(selection.tokens, selection.rows_per_head * selection.group);
  return outcomes.count(selection, RequestId(request), step,
                        selection.heads * (threshold ? 1 : selection.rows_per_head), selection.heads * most);
}

// Committed figures: a change of law or generator changes every result of this source, on any platform.
TEST(LocalityOutcomes, Golden_countsOfSeedOne) {
  const LocalityOutcomes outcomes(1, known(), shape());
  EXPECT_EQ(outcomes.name(), "locality (fitted on known)");
  std::vector<std::int64_t> counts;
  for (int step = 0; step < 4; ++step) counts.push_back(drawn(outcomes, top_k(0, 2000, 40'000), 0, step));
  for (int step = 0; step < 4; ++step)
    counts.push_back(drawn(outcomes, over(4000, 1, 2000, 10'000), 3, step));
  EXPECT_EQ(counts, (std::vector<std::int64_t>{8204, 7855, 8222, 8104, 401, 482, 598, 661}));
}

TEST(LocalityOutcomes, MeanScatterAndPersistence_areTheFittedOnes) {
  const LocalityOutcomes outcomes(7, known(), shape());
  const Selection selection = over(4000, 1, 100'000, 100'000);
  double sum = 0, logs = 0, squares = 0, products = 0;
  constexpr int kRequests = 40, kSteps = 500;
  for (int request = 0; request < kRequests; ++request) {
    double last = 0;
    for (int step = 0; step < kSteps; ++step) {
      const auto count = static_cast<double>(drawn(outcomes, selection, request, step));
      sum += count;
      const double log = std::log(count);
      logs += log;
      squares += log * log;
      if (step > 0) products += log * last;
      last = log;
    }
  }
  constexpr double kAll = kRequests * kSteps;
  const double mean = logs / kAll;
  const double variance = squares / kAll - mean * mean;
  const double lawful = expected_share(known(), selection) * 8 * 100'000;
  EXPECT_NEAR(sum / kAll / lawful, 1, 0.02);
  EXPECT_NEAR(std::sqrt(variance), 0.4, 0.02);
  EXPECT_NEAR((products / (kRequests * (kSteps - 1)) - mean * mean) / variance, 0.4, 0.03);
}

TEST(LocalityOutcomes, RequestsOfTheirOwn_scatterAsFitted) {
  Locality fit = known();
  fit.overlap = {{10'000, {300'000, 300'000}, {0, 0}, {200, 0}}};
  const LocalityOutcomes outcomes(3, fit, shape());
  double logs = 0, squares = 0;
  for (int request = 0; request < 2000; ++request) {
    const Selection selection = top_k(0, 10'000, 1'000'000);
    const auto count = static_cast<double>(drawn(outcomes, selection, request, 5));
    EXPECT_EQ(drawn(outcomes, selection, request, 6), count);
    logs += std::log(count) / 2000;
    squares += std::log(count) * std::log(count) / 2000;
  }
  EXPECT_NEAR(std::sqrt(squares - logs * logs), 0.2, 0.015);
}

TEST(LocalityOutcomes, Counts_stayWithinTheirBoundsWhateverTheScatter) {
  Locality wild = known();
  for (LocalityOverlap& point : wild.overlap) point.step_permille = {3000, 3000};
  const LocalityOutcomes outcomes(1, wild, shape());
  for (int step = 0; step < 500; ++step) {
    const std::int64_t count = drawn(outcomes, top_k(step % 2, 30, 100), step % 3, step);
    EXPECT_LE(60, count);
    EXPECT_LE(count, 200);
  }
}

TEST(LocalityOutcomes, SeedRequestLayerAndStep_eachChangeTheCount) {
  const LocalityOutcomes outcomes(1, known(), shape());
  const std::int64_t count = drawn(outcomes, top_k(0, 2000, 40'000), 0, 9);
  EXPECT_NE(count, drawn(LocalityOutcomes(2, known(), shape()), top_k(0, 2000, 40'000), 0, 9));
  EXPECT_NE(count, drawn(outcomes, top_k(0, 2000, 40'000), 1, 9));
  EXPECT_NE(count, drawn(outcomes, top_k(1, 2000, 40'000), 0, 9));
  EXPECT_NE(count, drawn(outcomes, top_k(0, 2000, 40'000), 0, 10));
}

Outcome end_of(int request) {
  return {OutcomeId(0), OutcomeKind::end_of_sequence, OpId(0), RequestId(request), -1, 0, 1};
}

// 20,000 draws with probability 0.01: 200 +- 5 standard deviations (14).
TEST(LocalityOutcomes, EndOfSequence_hasItsProbabilityOrIsRefused) {
  Locality fit = known();
  Step step;
  LocalityOutcomes without(1, fit, shape());
  EXPECT_THROW(without.count(step, end_of(0)), BadInput);
  fit.end_of_sequence = 10'000;
  LocalityOutcomes outcomes(1, fit, shape());
  std::int64_t ends = 0;
  for (int i = 0; i < 20'000; ++i) {
    step.id = StepId(i / 10);
    ends += outcomes.count(step, end_of(i % 10));
  }
  EXPECT_NEAR(static_cast<double>(ends), 200, 70);
}

// A run of requests of several lengths, its counts drawn from a law.
RecordedRun run_of(const LocalityOutcomes& outcomes, double ratio, std::int64_t alpha_milli) {
  RecordedRun run;
  run.name = "drawn";
  for (int request = 0; request < 40; ++request) {
    const Tokens tokens = 500 + 3500 * (request % 4);
    const auto rows = static_cast<std::int64_t>(ratio * static_cast<double>(tokens));
    for (int step = 0; step < 60; ++step) {
      for (int layer = 0; layer < kLayers; ++layer) {
        const Selection selection =
            alpha_milli > 0 ? over(alpha_milli, layer, rows, tokens) : top_k(layer, rows, tokens);
        const std::int64_t least = selection.heads * (alpha_milli > 0 ? 1 : rows);
        const std::int64_t bound = selection.heads * std::min<std::int64_t>(tokens, rows * selection.group);
        run.selections.push_back({selection, RequestId(request), step, least, bound,
                                  outcomes.count(selection, RequestId(request), step, least, bound)});
      }
    }
  }
  return run;
}

TEST(FitLocality, OfCountsDrawnFromALaw_findsTheLawAgain) {
  const Locality law = known();
  const LocalityOutcomes outcomes(5, law, shape());
  std::vector<RecordedRun> runs = {run_of(outcomes, 0.16, 0), run_of(outcomes, 1, 4000),
                                   run_of(outcomes, 0.01, 0), run_of(outcomes, 1, 2000),
                                   run_of(outcomes, 0.1, 2000)};
  runs[0].may_end = 1000;
  runs[0].ended = 3;
  const Locality fit = fit_locality(shape(), runs);
  EXPECT_EQ(fit.model, "known");
  EXPECT_EQ(fit.layers, kLayers);
  EXPECT_EQ(fit.end_of_sequence, 3000);
  EXPECT_NEAR(static_cast<double>(fit.persistence_permille), 400, 50);
  ASSERT_EQ(fit.overlap.size(), 2u);
  ASSERT_EQ(fit.thresholds.size(), 2u);
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_NEAR(static_cast<double>(fit.overlap[i].share), static_cast<double>(law.overlap[i].share), 300);
      EXPECT_NEAR(static_cast<double>(fit.overlap[i].correlation_ppm[layer]),
                  static_cast<double>(law.overlap[i].correlation_ppm[layer]), 20'000);
      EXPECT_NEAR(static_cast<double>(fit.overlap[i].step_permille[layer]),
                  static_cast<double>(law.overlap[i].step_permille[layer]), 10);
    }
    for (const LocalityThreshold& curve : fit.thresholds) {
      EXPECT_NEAR(static_cast<double>(curve.growth_permille[layer]), layer == 0 ? 800 : 900, 60) << layer;
    }
    // Where the cap bites at all.
    if (layer == 0) {
      EXPECT_NEAR(static_cast<double>(fit.thresholds[0].sharpness_permille[0]), 1000, 100);
    }
    // The same shares at another length, since the mean row count is the fit's own.
    for (const Selection& selection :
         {over(4000, static_cast<int>(layer), 4000, 4000), over(2000, static_cast<int>(layer), 400, 4000)}) {
      EXPECT_NEAR(expected_share(fit, selection) / expected_share(law, selection), 1, 0.06) << layer;
    }
    EXPECT_NEAR(static_cast<double>(fit.thresholds[1].step_permille[layer]),
                static_cast<double>(law.thresholds[1].step_permille[layer]), 30);
  }
}

// Of one law, the counts of one run and of another seed's: the same mean and 90th percentile.
TEST(FitLocality, CountsDrawnFromTheFit_haveTheRunsMeanAndPercentile) {
  const RecordedRun run = run_of(LocalityOutcomes(5, known(), shape()), 0.05, 0);
  const LocalityOutcomes fitted(1, fit_locality(shape(), {run}), shape());
  const CountFigures real = recorded_figures(run);
  const CountFigures again = drawn_figures(run, fitted);
  EXPECT_NEAR(again.mean / real.mean, 1, 0.01);
  EXPECT_NEAR(again.p90 / real.p90, 1, 0.02);
}

TEST(FitLocality, RunsThatCannotBeFitted_areRefused) {
  EXPECT_THROW(fit_locality(shape(), {}), BadInput);
  EXPECT_THROW(fit_locality(shape(), {RecordedRun{}}), BadInput);
  RecordedRun drifting = run_of(LocalityOutcomes(5, known(), shape()), 0.05, 0);
  drifting.selections.back().selection.rows_per_head *= 2;
  try {
    fit_locality(shape(), {drifting});
    FAIL();
  } catch (const BadInput& error) {
    EXPECT_NE(std::string(error.what()).find("split: fixed"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace hybridgen
