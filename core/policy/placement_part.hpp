// The part that chooses memories on the host's side.
#pragma once

#include "core/residency/memory_plan.hpp"

namespace hybridgen {

// Where the host segment's K and V lie.
class PlacementPart {
 public:
  virtual ~PlacementPart() = default;
  virtual TierId host_k() const = 0;
  virtual TierId host_v() const = 0;
  // Takes both, from some layer on, where they do not fit; invalid: nothing does.
  virtual TierId overflow() const { return TierId(); }
  // Where the host's side of exchanges lies.
  virtual TierId exchange() const { return host_k(); }

  void fill_in(MemoryPlan& plan) const {
    plan.host_k_tier = host_k();
    plan.host_v_tier = host_v();
    plan.overflow_tier = overflow();
    plan.exchange_tier = exchange();
  }
};

}  // namespace hybridgen
