// placement: k-in-cxl. Semantic placement turned round, a control that is known to be bad: K, which
// every step scans whole, lies in the slow memory, and V, of which it reads a few rows, in the fast one.
#include "core/base/error.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class KInCxl final : public PlacementPart {
 public:
  KInCxl(TierId dram, TierId cxl) : dram_(dram), cxl_(cxl) {}
  TierId host_k() const override { return cxl_; }
  TierId host_v() const override { return dram_; }
  TierId exchange() const override { return dram_; }  // K alone is misplaced

 private:
  TierId dram_;
  TierId cxl_;
};

}  // namespace

PartEntry placement_k_in_cxl() {
  return {"k-in-cxl",
          "host K in CXL memory, host V in DRAM: the wrong way round, a control for comparisons",
          {},
          MakePlacement([](const PartContext& context) -> std::unique_ptr<PlacementPart> {
            const auto dram = context.machine.tier_of(TierKind::dram);
            const auto cxl = context.machine.tier_of(TierKind::cxl);
            if (!dram || !cxl) {
              throw BadInput("placement k-in-cxl: platform " + context.machine.name() +
                             " needs a dram and a cxl tier; use placement: unified");
            }
            return std::make_unique<KInCxl>(*dram, *cxl);
          })};
}

}  // namespace hybridgen
