#include "formats/quality_summary.hpp"

#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

namespace hybridgen {
namespace {

nlohmann::ordered_json as_json(const QualityRow& row) {
  const QualitySummary& quality = row.quality;
  nlohmann::ordered_json json;
  json["name"] = row.name;
  if (row.budget > 0) json["budget_tokens"] = row.budget;
  if (row.budget > 0) json["budget"] = row.budget;
  json["predictions"] = quality.predictions;
  json["perplexity"] = quality.perplexity;
  json["reference_perplexity"] = quality.reference_perplexity;
  json["top1_agreement"] = quality.top1_agreement;
  json["mean_kl"] = quality.mean_kl;
  json["median_kl"] = quality.median_kl;
  json["log_likelihood_difference_error"] = quality.log_likelihood_difference_error;
  json["top1_agreement_error"] = quality.top1_agreement_error;
  json["mean_kl_error"] = quality.mean_kl_error;
  json["median_kl_error"] = quality.median_kl_error;
  if (!quality.layers.empty()) json["layers"] = nlohmann::ordered_json::array();
  for (const LayerQuality& layer : quality.layers) {
    json["layers"].push_back({{"layer", layer.layer},
                              {"lookahead", layer.mode},
                              {"query_cosine", layer.cosine},
                              {"row_recall", layer.recall},
                              {"captured_mass", layer.captured_mass}});
  }
  if (!quality.notes.empty()) json["notes"] = quality.notes;
  json["attention_bytes_per_token"] = row.attention_bytes;
  json["link_bytes_per_token"] = row.link_bytes;
  return json;
}

}  // namespace

std::string to_json(const QualityRow& row) {
  return as_json(row).dump(2) + "\n";
}

std::string to_json(const std::vector<QualityRow>& rows) {
  nlohmann::ordered_json json;
  json["policies"] = nlohmann::ordered_json::array();
  for (const QualityRow& row : rows) json["policies"].push_back(as_json(row));
  return json.dump(2) + "\n";
}

std::string to_text(const QualitySummary& quality) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(4) << "  predictions       " << quality.predictions << "\n"
       << "  perplexity        " << quality.perplexity << " (full attention " << quality.reference_perplexity
       << "; standard error of the mean log-likelihood difference " << quality.log_likelihood_difference_error
       << ")\n"
       << "  top-1 agreement   " << quality.top1_agreement << " (standard error "
       << quality.top1_agreement_error << ")\n"
       << std::setprecision(6) << "  KL to full        mean " << quality.mean_kl << " (standard error "
       << quality.mean_kl_error << "), median " << quality.median_kl << " (" << quality.median_kl_error
       << ") nats\n";
  for (const std::string& note : quality.notes) text << "  note              " << note << "\n";
  if (quality.layers.empty()) return text.str();
  text << "  layer  lookahead  cosine of queries  recall of rows  captured mass\n" << std::setprecision(4);
  for (const LayerQuality& layer : quality.layers) {
    text << std::setw(7) << layer.layer << "  " << std::left << std::setw(9) << layer.mode << std::right
         << std::setw(19) << layer.cosine << std::setw(16) << layer.recall << std::setw(15)
         << layer.captured_mass << "\n";
  }
  return text.str();
}

}  // namespace hybridgen
