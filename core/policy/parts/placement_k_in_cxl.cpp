// placement: k-in-cxl. Semantic placement turned round, a control that is known to be bad: K, which
// every step scans whole, lies in the slow memory, and V, of which it reads a few rows, in the fast one.
#include "core/policy/host_memories.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class KInCxl final : public PlacementPart {
 public:
  explicit KInCxl(const DramAndCxl& memories) : memories_(memories) {}
  TierId host_k() const override { return memories_.cxl; }
  TierId host_v() const override { return memories_.dram; }
  TierId exchange() const override { return memories_.dram; }  // K alone is misplaced

 private:
  DramAndCxl memories_;
};

}  // namespace

PartEntry placement_k_in_cxl() {
  return {"k-in-cxl",
          "host K in CXL memory, host V in DRAM: the wrong way round, a control for comparisons",
          {},
          MakePlacement([](const PartContext& context) -> std::unique_ptr<PlacementPart> {
            return std::make_unique<KInCxl>(dram_and_cxl(context.machine, "k-in-cxl"));
          })};
}

}  // namespace hybridgen
