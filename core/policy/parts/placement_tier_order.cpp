// placement: tier-order. The platform's host memories are filled in their order: K and V of as many layers as
// the first has room for lie together in it, those of the others in the next.
#include "core/base/error.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class TierOrder final : public PlacementPart {
 public:
  TierOrder(TierId first, TierId next) : first_(first), next_(next) {}
  TierId host_k() const override { return first_; }
  TierId host_v() const override { return first_; }
  TierId overflow() const override { return next_; }

 private:
  TierId first_;
  TierId next_;  // invalid where there is no other
};

// Memories of their own that the host's lane reads in place, in the order of the platform.
std::vector<TierId> host_tiers(const Machine& machine) {
  const ProcessorId host = machine.lane(machine.lane_of(Role::host)).processor;
  std::vector<TierId> tiers;
  for (const Tier& tier : machine.tiers()) {
    const bool memory = tier.kind == TierKind::dram || tier.kind == TierKind::cxl;
    if (memory && machine.reaches(host, tier.id)) tiers.push_back(tier.id);
  }
  return tiers;
}

}  // namespace

PartEntry placement_tier_order() {
  return {
      "tier-order",
      "host K and V together, layer by layer: the first host memory of the platform as far as it goes, then "
      "the next",
      {},
      MakePlacement([](const PartContext& context) -> std::unique_ptr<PlacementPart> {
        const std::vector<TierId> tiers = host_tiers(context.machine);
        if (tiers.empty()) {
          throw BadInput("placement tier-order: platform " + context.machine.name() +
                         " has no dram or cxl tier that the host reaches");
        }
        return std::make_unique<TierOrder>(tiers[0], tiers.size() > 1 ? tiers[1] : TierId());
      })};
}

}  // namespace hybridgen
