// Whether a memory plan fits a machine, before anything is allocated or started.
#pragma once

#include "core/machine/machine.hpp"
#include "core/residency/memory_plan.hpp"

namespace hybridgen {

// Throws DoesNotFit that lists, per tier, what is needed, what is there, and what it is needed for.
void check_fits(const Machine& machine, const MemoryPlan& plan);

}  // namespace hybridgen
