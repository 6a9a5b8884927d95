// placement: tier-order. What a system does that knows memories and not what lies in them: the host's
// memories are filled in the platform's order, array by array as layers are written (K of a layer, then its
// V).
#include "core/base/error.hpp"
#include "core/policy/host_memories.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class TierOrder final : public PlacementPart {
 public:
  TierOrder(TierId first, TierId next) : first_(first), next_(next) {}
  TierId host_k() const override { return first_; }
  TierId host_v() const override { return first_; }
  TierId overflow() const override { return next_; }
  bool keeps_layers_whole() const override { return false; }

 private:
  TierId first_;
  TierId next_;  // invalid where there is no other
};

}  // namespace

PartEntry placement_tier_order() {
  return {
      "tier-order",
      "host K and V in turn, layer by layer: the platform's first host memory as far as it goes, then the "
      "next",
      {},
      MakePlacement([](const PartContext& context) -> std::unique_ptr<PlacementPart> {
        const std::vector<TierId> memories = host_memories(context.machine);
        if (memories.empty()) {
          throw BadInput("placement tier-order: platform " + context.machine.name() +
                         " has no dram or cxl tier that the host reaches");
        }
        return std::make_unique<TierOrder>(memories[0], memories.size() > 1 ? memories[1] : TierId());
      })};
}

}  // namespace hybridgen
