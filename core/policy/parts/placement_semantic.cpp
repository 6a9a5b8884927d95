// placement: semantic. The host segment's K lies in DRAM, where every step scans it; its V in CXL memory, of
// which a step reads only the selected rows. K of the layers that DRAM has no room for lies there as well.
#include "core/base/error.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class Semantic final : public PlacementPart {
 public:
  Semantic(TierId dram, TierId cxl) : dram_(dram), cxl_(cxl) {}
  TierId host_k() const override { return dram_; }
  TierId host_v() const override { return cxl_; }
  TierId overflow() const override { return cxl_; }

 private:
  TierId dram_;
  TierId cxl_;
};

}  // namespace

PartEntry placement_semantic() {
  return {"semantic",
          "host K in DRAM (scanned every step), host V in CXL memory (a few rows per step)",
          {},
          MakePlacement([](const PartContext& context) -> std::unique_ptr<PlacementPart> {
            const auto dram = context.machine.tier_of(TierKind::dram);
            const auto cxl = context.machine.tier_of(TierKind::cxl);
            if (!dram || !cxl) {
              throw BadInput("placement semantic: platform " + context.machine.name() +
                             " needs a dram and a cxl tier; use placement: unified");
            }
            return std::make_unique<Semantic>(*dram, *cxl);
          })};
}

}  // namespace hybridgen
