// What a policy costs in answers, as figures.
#pragma once

#include <cstdint>
#include <string>

namespace hybridgen {

struct QualitySummary {
  std::int64_t predictions = 0;
  double perplexity = 0;            // of the policy: exp(mean negative log-likelihood of the targets)
  double reference_perplexity = 0;  // of full attention
  double top1_agreement = 0;        // share of predictions whose likeliest token is the same
  double mean_kl = 0;               // KL(reference || policy) per prediction, in nats
  double median_kl = 0;             // nearest rank
  // Standard errors of the mean over predictions, as if these were independent; 0 of fewer than two.
  double log_likelihood_difference_error = 0;  // of mean(policy - reference) log-likelihood, in nats
  double mean_kl_error = 0;
};

// For scripts: the fields by their names.
std::string to_json(const QualitySummary& quality);
// For people.
std::string to_text(const QualitySummary& quality);

}  // namespace hybridgen
