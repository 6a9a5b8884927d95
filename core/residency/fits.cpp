#include "core/residency/fits.hpp"

#include <algorithm>
#include <sstream>

#include "core/base/error.hpp"

namespace hybridgen {

Bytes bytes_in(const Machine& machine, const MemoryPlan& plan, TierId tier) {
  constexpr Bytes kPage = 4096;
  Bytes sum = plan.needed(tier);
  for (const Tier& other : machine.tiers()) {
    const auto shares = static_cast<Bytes>(std::count(other.over.begin(), other.over.end(), tier));
    if (shares == 0) continue;
    const auto pages = (plan.needed(other.id) + kPage - 1) / kPage;
    sum += shares * kPage *
           ((pages + static_cast<Bytes>(other.over.size()) - 1) / static_cast<Bytes>(other.over.size()));
  }
  return sum;
}

void check_fits(const Machine& machine, const MemoryPlan& plan) {
  std::ostringstream shortages;
  for (const Tier& tier : machine.tiers()) {
    const Bytes needed = bytes_in(machine, plan, tier.id);
    if (needed <= tier.capacity) continue;
    shortages << "\n  " << tier.name << ": needs " << needed << " bytes, has " << tier.capacity
              << " (short by " << needed - tier.capacity << ")";
    for (const Reservation& r : plan.reservations) {
      if (r.tier == tier.id) shortages << "\n    " << name_of(r.purpose) << ": " << r.bytes;
    }
    const Bytes shared = needed - plan.needed(tier.id);
    if (shared > 0) shortages << "\n    interleaved over it: " << shared;
  }
  if (!shortages.str().empty()) throw DoesNotFit("does not fit on " + machine.name() + ":" + shortages.str());
}

}  // namespace hybridgen
