#include "core/residency/fits.hpp"

#include <sstream>

#include "core/base/error.hpp"

namespace hybridgen {

void check_fits(const Machine& machine, const MemoryPlan& plan) {
  std::ostringstream shortages;
  for (const Tier& tier : machine.tiers()) {
    const Bytes needed = plan.needed(tier.id);
    if (needed <= tier.capacity) continue;
    shortages << "\n  " << tier.name << ": needs " << needed << " bytes, has " << tier.capacity
              << " (short by " << needed - tier.capacity << ")";
    for (const Reservation& r : plan.reservations) {
      if (r.tier == tier.id) shortages << "\n    " << name_of(r.purpose) << ": " << r.bytes;
    }
  }
  if (!shortages.str().empty()) throw DoesNotFit("does not fit on " + machine.name() + ":" + shortages.str());
}

}  // namespace hybridgen
