// What a run needs of every memory, against what there is, before anything starts; and where it does not
// fit, what would: found by planning the same experiment with other numbers, never guessed.
#pragma once

#include <string>
#include <vector>

#include "core/machine/machine.hpp"
#include "core/machine/model_shape.hpp"
#include "formats/experiment.hpp"

namespace hybridgen {

struct TierNeed {
  std::string name;
  bool emulated = false;
  Bytes capacity = 0;
  Bytes needed = 0;
  std::vector<Reservation> parts;  // of this tier
};

struct FitReport {
  std::string platform;
  std::vector<TierNeed> tiers;              // in the platform's order
  std::vector<std::string> what_would_fit;  // "workload.batch: 12"; empty where everything fits

  bool fits() const;
};

FitReport fit_report(const Experiment& experiment, const Machine& machine, const ModelShape& model);
// A table, a memory per line; then what is short, and what would fit.
std::string to_text(const FitReport& report);

// Throws DoesNotFit with the report's text where it does not.
void require_fit(const FitReport& report);

}  // namespace hybridgen
