// One experiment file's text, read and checked against the registry. The steps behind load_experiment.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "formats/experiment.hpp"

namespace hybridgen {

// Throws BadInput with all errors; `path` is for messages and for resolving relative paths.
Experiment read_experiment(const std::string& text, const std::string& path, const Overrides& overrides = {});

// The other slots that an attention part uses: those that the presets with this attention fill. Nothing for
// an attention that no preset has: then it is not known.
std::optional<std::vector<std::string>> slots_of(const std::string& attention);

// How a parameter is written in YAML: digits after the point that are kept.
int digits_of(ParamKind kind);

}  // namespace hybridgen
