// An ablation: one experiment and what becomes of it when techniques are taken away or put back, one by one,
// on several platforms and contexts. A file like configs/ablation-paper.yaml.
#pragma once

#include <string>
#include <vector>

#include "core/base/units.hpp"
#include "formats/experiment.hpp"

namespace hybridgen {

// One row of the table: an experiment file with changes.
struct AblationVariant {
  std::string name;
  std::string experiment;  // path of the file
  Overrides changes;       // what is unset comes before what is set
};

struct Ablation {
  std::string title;
  std::vector<std::string> platforms;  // empty: the experiment's own
  std::vector<Tokens> prompt_tokens;   // empty: the experiment's own
  std::vector<AblationVariant> variants;
};

// Reads and checks the file itself; the variants' experiments are checked when they are loaded. Throws
// BadInput with all errors, one line each.
Ablation load_ablation(const std::string& path);

}  // namespace hybridgen
