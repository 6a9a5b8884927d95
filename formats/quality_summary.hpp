// What a policy costs in answers, as figures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/units.hpp"

namespace hybridgen {

// One layer's choices of host rows, held against its true queries; means over tokens and query heads.
struct LayerQuality {
  int layer = 0;
  std::string mode;          // of the lookahead part: off, choose or use
  double cosine = 0;         // of the query that chose with the true one
  double recall = 0;         // of the rows that the true query would have chosen
  double captured_mass = 0;  // share of the softmax over all tokens that lies on the rows that entered
};

struct QualitySummary {
  std::int64_t predictions = 0;
  double perplexity = 0;            // of the policy: exp(mean negative log-likelihood of the targets)
  double reference_perplexity = 0;  // of full attention
  double top1_agreement = 0;        // share of predictions whose likeliest token is the same
  double mean_kl = 0;               // KL(reference || policy) per prediction, in nats
  double median_kl = 0;             // nearest rank
  // Standard errors over predictions, as if these were independent; 0 of fewer than two.
  double log_likelihood_difference_error = 0;  // of mean(policy - reference) log-likelihood, in nats
  double top1_agreement_error = 0;
  double mean_kl_error = 0;
  double median_kl_error = 0;        // by the ranks half a binomial deviation to either side
  std::vector<LayerQuality> layers;  // of a policy that chooses host rows, where it was asked for
  std::vector<std::string> notes;    // what the policy says of itself
};

// One policy of a comparison.
struct QualityRow {
  std::string name;   // of the experiment or the preset
  Tokens budget = 0;  // rows per query head that were asked for; 0: the experiment's own settings
  QualitySummary quality;
  // Per decoded token, as the executor counted it: what attention read, wrote and copied of K, V, queries,
  // scores and a selection's metadata; of that, what crossed a link. Weights are not in it.
  double attention_bytes = 0;
  double link_bytes = 0;
};

// For scripts: the fields by their names. Several rows: `policies`, a list of them.
std::string to_json(const QualityRow& row);
std::string to_json(const std::vector<QualityRow>& rows);
// For people: of one policy, line by line.
std::string to_text(const QualitySummary& quality);

}  // namespace hybridgen
