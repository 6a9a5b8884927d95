// The memories that may hold the host segment.
#pragma once

#include <vector>

#include "core/machine/machine.hpp"

namespace hybridgen {

// DRAM and CXL memories that the host's lane reads in place, in the platform's order. Interleaved ones lie
// in these.
inline std::vector<TierId> host_memories(const Machine& machine) {
  const ProcessorId host = machine.lane(machine.lane_of(Role::host)).processor;
  std::vector<TierId> memories;
  for (const Tier& tier : machine.tiers()) {
    const bool own = tier.kind == TierKind::dram || tier.kind == TierKind::cxl;
    if (own && machine.reaches(host, tier.id)) memories.push_back(tier.id);
  }
  return memories;
}

}  // namespace hybridgen
