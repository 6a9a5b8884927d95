// Finds a model by name and reads its shape.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/machine/model_shape.hpp"

namespace hybridgen {

struct ModelFiles {
  ModelShape shape;
  std::string folder;  // Hugging Face folder with weights; empty when only the shape is known
  std::vector<std::int32_t> end_tokens;  // that end a sequence
  int published_context = 0;             // tokens, where an experiment assumes more; else 0
};

// `name` under models/ (Hugging Face folder) or configs/models/ (shape as YAML), or a path to either. A
// folder with weights comes first. BadInput names the folders searched and the names there are.
ModelFiles find_model(const std::string& name);
std::vector<std::string> list_models();

// A shape as YAML, checked; the same keys as ModelShape's members, and `source`.
ModelShape read_model_yaml(const std::string& text, const std::string& path);

}  // namespace hybridgen
