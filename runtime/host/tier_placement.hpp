// Where the tiers of a platform lie on this machine, and whether a plan fits there.
#pragma once

#include <vector>

#include "core/machine/machine.hpp"
#include "core/residency/memory_plan.hpp"
#include "runtime/host/tier_memory.hpp"

namespace hybridgen {

// The NUMA nodes that a tier's pages lie on, ascending; empty: wherever the system puts them.
std::vector<int> nodes_of(const Machine& machine, TierId tier);
// A tier's memory: of its nodes, or the system's.
MemorySource source_of(const Machine& machine, TierId tier);

// Whether weights still need room: they are loaded before an executor exists.
enum class Weights { to_come, placed };

// Before anything is allocated. NotAvailable: a tier lies on a node that this machine lacks, or is CXL and
// says no node. DoesNotFit: a node has less than the plan wants of it; all such nodes, with wanted and free
// bytes.
void check_placement(const Machine& machine, const MemoryPlan& plan, Weights weights);

}  // namespace hybridgen
