// QualityMeter against distributions small enough for pencil and paper.
#include "study/accuracy.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/check.hpp"

namespace hybridgen {
namespace {

// Logits whose softmax is these probabilities; a shift changes nothing.
std::vector<float> logits_of(const std::vector<double>& probabilities, double shift = 0) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p) + shift));
  return logits;
}

constexpr double kFloat = 1e-6;  // what a logit loses as a float

TEST(QualityMeter, of_nothing_is_zero) {
  const QualitySummary summary = QualityMeter().summary();
  EXPECT_EQ(summary.predictions, 0);
  EXPECT_EQ(summary.perplexity, 0);
}

TEST(QualityMeter, equal_logits_agree_exactly) {
  QualityMeter meter;
  const std::vector<float> logits = {1.5F, -2.0F, 0.25F};
  meter.add(logits, logits, 1);
  const QualitySummary summary = meter.summary();
  EXPECT_EQ(summary.mean_kl, 0);
  EXPECT_EQ(summary.top1_agreement, 1);
  EXPECT_EQ(summary.perplexity, summary.reference_perplexity);
}

TEST(QualityMeter, perplexity_of_a_uniform_guess_is_the_vocabulary) {
  QualityMeter meter;
  const std::vector<float> flat(8, 3.0F);
  for (int target = 0; target < 8; ++target) meter.add(flat, flat, target);
  EXPECT_NEAR(meter.summary().perplexity, 8, 1e-12);
}

TEST(QualityMeter, perplexity_is_the_inverse_geometric_mean_of_the_targets_probability) {
  // The policy gives its targets 1/2 and 1/8: geometric mean 1/4. The reference 1/4 and 1/4.
  QualityMeter meter;
  const auto reference = logits_of({.25, .25, .5});
  meter.add(reference, logits_of({.5, .375, .125}), 0);
  meter.add(reference, logits_of({.5, .125, .375}), 1);
  EXPECT_NEAR(meter.summary().perplexity, 4, kFloat * 10);
  EXPECT_NEAR(meter.summary().reference_perplexity, 4, kFloat * 10);
}

TEST(QualityMeter, kl_is_of_the_reference_to_the_policy) {
  // KL((1/2, 1/2) || (1/4, 3/4)) = 1/2 ln 2 + 1/2 ln 2/3 = 1/2 ln 4/3; the other way it would be
  // 1/4 ln 1/2 + 3/4 ln 3/2.
  QualityMeter meter;
  meter.add(logits_of({.5, .5}), logits_of({.25, .75}, 40), 0);
  EXPECT_NEAR(meter.summary().mean_kl, .5 * std::log(4.0 / 3), kFloat * 40);
}

TEST(QualityMeter, mean_median_and_standard_error_of_kl) {
  // KL 0, 0 and a = 1/2 ln 4/3: mean a/3, median 0. Deviations a/3, a/3, 2a/3: variance a^2/3, error a/3.
  QualityMeter meter;
  const auto even = logits_of({.5, .5});
  meter.add(even, even, 0);
  meter.add(even, even, 0);
  meter.add(even, logits_of({.25, .75}), 0);
  const double a = .5 * std::log(4.0 / 3);
  EXPECT_NEAR(meter.summary().mean_kl, a / 3, kFloat);
  EXPECT_EQ(meter.summary().median_kl, 0);
  EXPECT_NEAR(meter.summary().mean_kl_error, a / 3, kFloat);
}

TEST(QualityMeter, standard_error_of_the_log_likelihood_difference) {
  // Differences ln 1/2 and ln 3/2: half their distance, ln 3 / 2, is the error of their mean.
  QualityMeter meter;
  meter.add(logits_of({.5, .5}), logits_of({.25, .75}), 0);
  meter.add(logits_of({.5, .5}), logits_of({.25, .75}), 1);
  EXPECT_NEAR(meter.summary().log_likelihood_difference_error, std::log(3) / 2, kFloat);
}

TEST(QualityMeter, one_prediction_has_no_standard_error) {
  QualityMeter meter;
  meter.add(logits_of({.5, .5}), logits_of({.25, .75}), 0);
  EXPECT_EQ(meter.summary().mean_kl_error, 0);
  EXPECT_EQ(meter.summary().log_likelihood_difference_error, 0);
}

TEST(QualityMeter, ties_go_to_the_lowest_id) {
  QualityMeter meter;
  meter.add(std::vector<float>{1, 1, 0}, std::vector<float>{2, 1, 1}, 0);  // both 0
  meter.add(std::vector<float>{1, 1, 0}, std::vector<float>{1, 2, 1}, 0);  // 0 and 1
  EXPECT_EQ(meter.summary().top1_agreement, .5);
}

TEST(QualityMeter, large_logits_do_not_overflow) {
  QualityMeter meter;
  meter.add(std::vector<float>{3e4F, 0}, std::vector<float>{3e4F, -3e4F}, 0);
  EXPECT_NEAR(meter.summary().perplexity, 1, 1e-12);
  EXPECT_NEAR(meter.summary().mean_kl, 0, 1e-12);
}

TEST(QualityMeter, bad_input_is_our_bug) {
  QualityMeter meter;
  const std::vector<float> two = {0, 0};
  EXPECT_THROW(meter.add(two, std::vector<float>{0}, 0), InternalError);
  EXPECT_THROW(meter.add(two, two, 2), InternalError);
  EXPECT_THROW(meter.add(two, two, -1), InternalError);
  EXPECT_THROW(meter.add(two, std::vector<float>{0, std::numeric_limits<float>::quiet_NaN()}, 0),
               InternalError);
  EXPECT_EQ(meter.summary().predictions, 0) << "a refused prediction leaves no trace";
}

}  // namespace
}  // namespace hybridgen
