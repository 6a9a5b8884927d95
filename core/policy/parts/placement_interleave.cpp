// placement: interleave. The pages of the host segment's K and V alternate between the tiers that an
// interleaved memory is made of: what an operating system does that knows nothing of how K and V are read.
#include "core/base/error.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class Interleave final : public PlacementPart {
 public:
  explicit Interleave(TierId interleaved) : interleaved_(interleaved) {}
  TierId host_k() const override { return interleaved_; }
  TierId host_v() const override { return interleaved_; }

 private:
  TierId interleaved_;
};

}  // namespace

PartEntry placement_interleave() {
  return {"interleave",
          "pages of host K and V in turn in each tier of the platform's interleaved memory",
          {},
          MakePlacement([](const PartContext& context) -> std::unique_ptr<PlacementPart> {
            const auto interleaved = context.machine.tier_of(TierKind::interleaved);
            if (!interleaved) {
              throw BadInput("placement interleave: platform " + context.machine.name() +
                             " has no memory of kind interleaved; add one over dram and cxl, or use "
                             "placement: unified");
            }
            return std::make_unique<Interleave>(*interleaved);
          })};
}

}  // namespace hybridgen
