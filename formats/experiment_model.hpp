// The model that an experiment names, held against the context that the experiment asks for.
#pragma once

#include <string>

#include "formats/experiment.hpp"
#include "formats/model.hpp"

namespace hybridgen {

// Throws BadInput, with the place of workload.prompt_tokens, when the context goes beyond what the model was
// made for. An experiment with assume_max_context stretches the shape (and a learned position table with it).
ModelFiles find_model_for(const Experiment& experiment);

// What a result must say of a stretched shape; empty where the model is as published.
std::string stretch_note(const ModelFiles& model);

// For commands that run real weights: BadInput when the experiment assumes a longer context for them.
void refuse_assumed_context(const Experiment& experiment);

}  // namespace hybridgen
