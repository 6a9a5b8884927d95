// The memories that may hold the host segment.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.hpp"
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

struct DramAndCxl {
  TierId dram;
  TierId cxl;
};

// For a placement that needs both. BadInput where the platform lacks one.
inline DramAndCxl dram_and_cxl(const Machine& machine, const std::string& placement) {
  const auto dram = machine.tier_of(TierKind::dram);
  const auto cxl = machine.tier_of(TierKind::cxl);
  if (!dram || !cxl) {
    throw BadInput("placement " + placement + ": platform " + machine.name() +
                   " needs a dram and a cxl tier; use placement: unified");
  }
  return {*dram, *cxl};
}

}  // namespace hybridgen
