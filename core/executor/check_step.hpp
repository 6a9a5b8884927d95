// The gate between building and submitting: what an executor may rely on. A violation is our bug and names
// the op.
#pragma once

#include "core/executor/executor.hpp"
#include "core/machine/machine.hpp"
#include "core/step/step.hpp"

namespace hybridgen {

// Ids dense, dependencies backwards, kinds supported, sizes not negative, memories reachable, copies
// possible, and every op that is sized by an outcome comes after its producer along dependencies.
void check_step(const Step& step, const Machine& machine, const Capabilities& capabilities);

}  // namespace hybridgen
