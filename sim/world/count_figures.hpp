// The counts of a recorded run beside those that a fit draws for the same selections.
#pragma once

#include "sim/world/fit_locality.hpp"
#include "sim/world/locality_outcomes.hpp"

namespace hybridgen {

// Of all selections of a run: every step, request and layer.
struct CountFigures {
  double mean = 0;
  double p90 = 0;
};

CountFigures recorded_figures(const RecordedRun& run);
CountFigures drawn_figures(const RecordedRun& run, const LocalityOutcomes& outcomes);

}  // namespace hybridgen
