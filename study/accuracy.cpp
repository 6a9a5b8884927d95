#include "study/accuracy.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/check.hpp"
#include "core/driver/run_metrics.hpp"

namespace hybridgen {
namespace {

// log of the sum of exponentials; the largest is taken out first, so that nothing overflows.
double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

// Sum over tokens of p x (log p - log q). Rounding may leave it a hair below its bound of 0.
double kl_divergence(std::span<const float> reference, double reference_norm, std::span<const float> policy,
                     double policy_norm) {
  double sum = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - reference_norm;
    const double log_q = policy[i] - policy_norm;
    sum += std::exp(log_p) * (log_p - log_q);
  }
  return std::max(0.0, sum);
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// Sample standard deviation over the square root of the count.
double standard_error(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double middle = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  const auto count = static_cast<double>(values.size());
  return std::sqrt(squares / (count - 1) / count);
}

// Half the distance of the values whose ranks lie half a binomial standard deviation (sqrt(n) / 2) to either
// side of the median's.
double median_error(std::vector<double> values) {
  if (values.size() < 2) return 0;
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  const auto at = [&](double rank) {
    return values[static_cast<std::size_t>(std::clamp(std::lround(rank), 0L, std::lround(count) - 1))];
  };
  const double middle = (count - 1) / 2;
  const double aside = std::sqrt(count) / 2;
  return (at(middle + aside) - at(middle - aside)) / 2;
}

void check_logits(std::span<const float> logits, const char* whose) {
  for (std::size_t i = 0; i < logits.size(); ++i)
    HG_CHECK(std::isfinite(logits[i]), whose << " logit of token " << i << " is " << logits[i]);
}

}  // namespace

void AttentionMeter::add(int layer, double cosine, double recall, double captured_mass) {
  Sum& sum = sums_[layer];
  ++sum.count;
  sum.cosine += cosine;
  sum.recall += recall;
  sum.captured_mass += captured_mass;
}

std::vector<LayerQuality> AttentionMeter::layers() const {
  std::vector<LayerQuality> list;
  for (const auto& [layer, sum] : sums_) {
    const auto count = static_cast<double>(sum.count);
    list.push_back({layer, "", sum.cosine / count, sum.recall / count, sum.captured_mass / count});
  }
  return list;
}

void QualityMeter::add(std::span<const float> reference_logits, std::span<const float> policy_logits,
                       int target_token) {
  HG_CHECK(!reference_logits.empty() && reference_logits.size() == policy_logits.size(),
           reference_logits.size() << " reference and " << policy_logits.size() << " policy logits");
  HG_CHECK(0 <= target_token && static_cast<std::size_t>(target_token) < reference_logits.size(),
           "target token " << target_token << " of " << reference_logits.size());
  check_logits(reference_logits, "reference");
  check_logits(policy_logits, "policy");
  const auto target = static_cast<std::size_t>(target_token);
  const double reference_norm = log_sum_exp(reference_logits);
  const double policy_norm = log_sum_exp(policy_logits);
  reference_log_likelihoods_.push_back(reference_logits[target] - reference_norm);
  policy_log_likelihoods_.push_back(policy_logits[target] - policy_norm);
  kls_.push_back(kl_divergence(reference_logits, reference_norm, policy_logits, policy_norm));
  const auto best = [](std::span<const float> logits) {
    return std::max_element(logits.begin(), logits.end()) - logits.begin();
  };
  if (best(reference_logits) == best(policy_logits)) ++agreements_;
}

QualitySummary QualityMeter::summary() const {
  QualitySummary summary;
  if (kls_.empty()) return summary;
  summary.predictions = static_cast<std::int64_t>(kls_.size());
  summary.perplexity = std::exp(-mean(policy_log_likelihoods_));
  summary.reference_perplexity = std::exp(-mean(reference_log_likelihoods_));
  summary.top1_agreement = static_cast<double>(agreements_) / static_cast<double>(kls_.size());
  summary.mean_kl = mean(kls_);
  summary.median_kl = percentile(kls_, 50);
  std::vector<double> differences;
  for (std::size_t i = 0; i < kls_.size(); ++i)
    differences.push_back(policy_log_likelihoods_[i] - reference_log_likelihoods_[i]);
  summary.log_likelihood_difference_error = standard_error(differences);
  summary.mean_kl_error = standard_error(kls_);
  summary.median_kl_error = median_error(kls_);
  if (kls_.size() > 1) {
    summary.top1_agreement_error = std::sqrt(summary.top1_agreement * (1 - summary.top1_agreement) /
                                             static_cast<double>(kls_.size() - 1));
  }
  return summary;
}

}  // namespace hybridgen
