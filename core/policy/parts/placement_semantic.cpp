// placement: semantic. The host segment's K lies in DRAM, where every step scans it; its V in CXL memory, of
// which a step reads only the selected rows. K of the layers that DRAM has no room for lies there as well.
#include "core/policy/host_memories.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class Semantic final : public PlacementPart {
 public:
  explicit Semantic(const DramAndCxl& memories) : memories_(memories) {}
  TierId host_k() const override { return memories_.dram; }
  TierId host_v() const override { return memories_.cxl; }
  TierId overflow() const override { return memories_.cxl; }

 private:
  DramAndCxl memories_;
};

}  // namespace

PartEntry placement_semantic() {
  return {"semantic",
          "host K in DRAM (scanned every step), host V in CXL memory (a few rows per step)",
          {},
          MakePlacement([](const PartContext& context) -> std::unique_ptr<PlacementPart> {
            return std::make_unique<Semantic>(dram_and_cxl(context.machine, "semantic"));
          })};
}

}  // namespace hybridgen
