// Fits the locality of a model's selections to recorded real runs. Pure; what it makes is rounded to the
// integers that a file keeps, so that a fit that was written and read again draws the same counts.
#pragma once

#include <vector>

#include "core/machine/locality.hpp"
#include "core/machine/model_shape.hpp"
#include "sim/world/recorded_run.hpp"

namespace hybridgen {

// Runs with equal rule, alpha and share of rows (within a tenth) make one point. Runs that unite the choices
// of a group by a threshold are passed over: what they would say follows from the others. BadInput where the
// runs hold nothing to fit, or one of them changes its share as it goes.
Locality fit_locality(const ModelShape& model, const std::vector<RecordedRun>& runs);

}  // namespace hybridgen
