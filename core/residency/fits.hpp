// Whether a memory plan fits a machine, before anything is allocated or started.
#pragma once

#include "core/machine/machine.hpp"
#include "core/residency/memory_plan.hpp"

namespace hybridgen {

// Bytes of the plan that lie in a tier: its own, and its share of what is interleaved over it, in whole
// pages.
Bytes bytes_in(const Machine& machine, const MemoryPlan& plan, TierId tier);

// Throws DoesNotFit that lists, per tier, what is needed, what is there, and what it is needed for.
void check_fits(const Machine& machine, const MemoryPlan& plan);

}  // namespace hybridgen
