#include "formats/quality_summary.hpp"

#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

namespace hybridgen {

std::string to_json(const QualitySummary& quality) {
  nlohmann::ordered_json json;
  json["predictions"] = quality.predictions;
  json["perplexity"] = quality.perplexity;
  json["reference_perplexity"] = quality.reference_perplexity;
  json["top1_agreement"] = quality.top1_agreement;
  json["mean_kl"] = quality.mean_kl;
  json["median_kl"] = quality.median_kl;
  json["log_likelihood_difference_error"] = quality.log_likelihood_difference_error;
  json["mean_kl_error"] = quality.mean_kl_error;
  return json.dump(2) + "\n";
}

std::string to_text(const QualitySummary& quality) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(4) << "  predictions       " << quality.predictions << "\n"
       << "  perplexity        " << quality.perplexity << " (full attention " << quality.reference_perplexity
       << "; standard error of the mean log-likelihood difference " << quality.log_likelihood_difference_error
       << ")\n"
       << "  top-1 agreement   " << quality.top1_agreement << "\n"
       << std::setprecision(6) << "  KL to full        mean " << quality.mean_kl << " (standard error "
       << quality.mean_kl_error << "), median " << quality.median_kl << " nats\n";
  return text.str();
}

}  // namespace hybridgen
