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
  // Takes, from some layer on, what has no room there; invalid: nothing does.
  virtual TierId overflow() const { return TierId(); }
  // Whether K and V of a layer that lie in one memory overflow together.
  virtual bool keeps_layers_whole() const { return true; }
  // Where the host's side of exchanges lies.
  virtual TierId exchange() const { return host_k(); }

  void fill_in(MemoryPlan& plan) const {
    plan.k_on_host = {host_k(), overflow(), 0};
    plan.v_on_host = {host_v(), overflow(), 0};
    plan.whole_layers_on_host = keeps_layers_whole();
    plan.exchange_tier = exchange();
  }
};

}  // namespace hybridgen
