// placement: unified. The host segment's K and V both lie in DRAM.
#include "core/base/error.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class Unified final : public PlacementPart {
 public:
  explicit Unified(TierId dram) : dram_(dram) {}
  TierId host_k() const override { return dram_; }
  TierId host_v() const override { return dram_; }

 private:
  TierId dram_;
};

}  // namespace

PartEntry placement_unified() {
  return {"unified",
          "host K and V both in DRAM",
          {},
          MakePlacement([](const PartContext& context) -> std::unique_ptr<PlacementPart> {
            const auto dram = context.machine.tier_of(TierKind::dram);
            if (!dram)
              throw BadInput("placement unified: platform " + context.machine.name() + " has no dram tier");
            return std::make_unique<Unified>(*dram);
          })};
}

}  // namespace hybridgen
