// One experiment file's text, read and checked against the registry. The steps behind load_experiment.
#pragma once

#include <string>
#include <vector>

#include "formats/experiment.hpp"

namespace hybridgen {

// Throws BadInput with all errors; `path` is for messages and for resolving relative paths.
Experiment read_experiment(const std::string& text, const std::string& path, const Overrides& overrides = {});

}  // namespace hybridgen
