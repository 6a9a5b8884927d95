#include "formats/experiment_model.hpp"

#include "core/base/error.hpp"

namespace hybridgen {
namespace {

std::string place_of(const Experiment& experiment, const std::string& key) {
  const auto found = experiment.places.find(key);
  return found == experiment.places.end() ? experiment.path + ": " + key : found->second;
}

}  // namespace

ModelFiles find_model_for(const Experiment& experiment) {
  ModelFiles model = find_model(experiment.model);
  ModelShape& shape = model.shape;
  if (experiment.assume_max_context > shape.max_context) {
    model.published_context = shape.max_context;
    shape.max_context = static_cast<int>(experiment.assume_max_context);
  }
  const std::vector<RequestShape> requests = experiment.workload().requests;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const Tokens context = requests[i].most_context();
    if (context <= shape.max_context) continue;
    const std::string listed = "workload.requests[" + std::to_string(i) + "].prompt_tokens";
    throw BadInput(
        place_of(experiment, experiment.requests.empty() ? "workload.prompt_tokens" : listed) +
        ": with new_tokens the context reaches " + std::to_string(context) + " tokens, but " + shape.name +
        " goes up to " + std::to_string(shape.max_context) +
        "; use a shorter prompt, or for a simulation alone assume_max_context: " + std::to_string(context));
  }
  return model;
}

std::string stretch_note(const ModelFiles& model) {
  if (model.published_context == 0) return "";
  return model.shape.name + " was made for " + std::to_string(model.published_context) +
         " tokens of context; assume_max_context stretches its shape to " +
         std::to_string(model.shape.max_context) + ": its times and bytes, not its answers";
}

void refuse_assumed_context(const Experiment& experiment) {
  if (experiment.assume_max_context == 0 || experiment.weights == WeightSource::dummy) return;
  throw BadInput(place_of(experiment, "assume_max_context") +
                 ": real weights know no longer context than they were made for; remove it, or simulate");
}

}  // namespace hybridgen
