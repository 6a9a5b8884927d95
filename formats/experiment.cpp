#include "formats/experiment.hpp"

#include <sstream>

#include "core/base/check.hpp"
#include "formats/experiment_reader.hpp"
#include "formats/policy_reader.hpp"
#include "formats/yaml_text.hpp"

namespace hybridgen {
namespace {

std::string requests_yaml(const Experiment& experiment) {
  std::ostringstream out;
  if (experiment.requests.empty()) {
    out << "\n  prompt_tokens: " << experiment.prompt_tokens << "\n  new_tokens: " << experiment.new_tokens;
    return out.str();
  }
  out << "\n  requests:";
  for (const RequestEntry& request : experiment.requests) {
    out << "\n    - {prompt_tokens: " << request.shape.prompt_tokens
        << ", new_tokens: " << request.shape.new_tokens << ", prompt_start: " << request.prompt_start << "}";
  }
  return out.str();
}

}  // namespace

const char* name_of(OutcomeSourceKind kind) {
  switch (kind) {
    case OutcomeSourceKind::fixed:
      return "fixed";
    case OutcomeSourceKind::recorded:
      return "recorded";
    case OutcomeSourceKind::seeded:
      return "seeded";
    case OutcomeSourceKind::locality:
      return "locality";
  }
  HG_CHECK(false, "outcome source " << static_cast<int>(kind));
}

const char* name_of(WeightSource source) {
  return source == WeightSource::dummy ? "dummy" : "files";
}

std::vector<RequestEntry> Experiment::all_requests() const {
  if (!requests.empty()) return requests;
  std::vector<RequestEntry> equal;
  for (int i = 0; i < batch; ++i) equal.push_back({{prompt_tokens, new_tokens}, i * prompt_tokens});
  return equal;
}

WorkloadShape Experiment::workload() const {
  std::vector<RequestShape> shapes;
  for (const RequestEntry& request : all_requests()) shapes.push_back(request.shape);
  return {std::move(shapes), batch, stop_at_end_of_sequence};
}

Experiment load_experiment(const std::string& path, const Overrides& overrides) {
  return read_experiment(read_text_file(path), path, overrides);
}

std::string to_yaml(const Experiment& experiment) {
  std::ostringstream out;
  out << "platform: " << yaml_string(experiment.platform) << "\nmodel: " << yaml_string(experiment.model)
      << "\nweights: " << name_of(experiment.weights)
      << "\nworkload:\n  prompt_file: " << yaml_string(experiment.prompt_file) << requests_yaml(experiment)
      << "\n  batch: " << experiment.batch
      << "\n  stop_at_end_of_sequence: " << (experiment.stop_at_end_of_sequence ? "true" : "false") << "\n";
  out << policy_yaml({experiment.composition, experiment.kv_dtype, experiment.params});
  out << "outcomes:\n  source: " << name_of(experiment.outcomes) << "\n";
  if (!experiment.outcomes_from.empty()) {
    out << "  from: " << yaml_string(experiment.outcomes_from) << "\n";
  }
  out << "seed: " << experiment.seed << "\nrepeat: " << experiment.repeat << "\n";
  if (experiment.assume_max_context > 0) {
    out << "assume_max_context: " << experiment.assume_max_context << "\n";
  }
  return out.str();
}

}  // namespace hybridgen
