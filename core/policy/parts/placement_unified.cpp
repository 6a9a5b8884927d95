// placement: unified. K and V of a layer of the host segment lie together: in DRAM as far as it goes, then in
// CXL memory, where the platform has any that the host reads in place.
#include <algorithm>

#include "core/base/error.hpp"
#include "core/policy/host_memories.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class Unified final : public PlacementPart {
 public:
  Unified(TierId dram, TierId cxl) : dram_(dram), cxl_(cxl) {}
  TierId host_k() const override { return dram_; }
  TierId host_v() const override { return dram_; }
  TierId overflow() const override { return cxl_; }

 private:
  TierId dram_;
  TierId cxl_;  // invalid where there is none
};

TierId cxl_of(const Machine& machine) {
  const std::vector<TierId> memories = host_memories(machine);
  const auto found = std::find_if(memories.begin(), memories.end(),
                                  [&](TierId memory) { return machine.tier(memory).kind == TierKind::cxl; });
  return found == memories.end() ? TierId() : *found;
}

}  // namespace

PartEntry placement_unified() {
  return {"unified",
          "host K and V together: in DRAM and, layer by layer, in CXL memory once that is full",
          {},
          MakePlacement([](const PartContext& context) -> std::unique_ptr<PlacementPart> {
            const auto dram = context.machine.tier_of(TierKind::dram);
            if (!dram)
              throw BadInput("placement unified: platform " + context.machine.name() + " has no dram tier");
            return std::make_unique<Unified>(*dram, cxl_of(context.machine));
          })};
}

}  // namespace hybridgen
