// admission: continuous. A waiting request starts as soon as a slot is free, between two decode steps of the
// others (Orca's iteration-level scheduling).
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class ContinuousAdmission final : public AdmissionPart {
 public:
  bool admits(const Observation&) const override { return true; }
};

}  // namespace

PartEntry admission_continuous() {
  return {"continuous",
          "a waiting request starts as soon as a slot is free",
          {},
          MakeAdmission([](const PartContext&) -> std::unique_ptr<AdmissionPart> {
            return std::make_unique<ContinuousAdmission>();
          })};
}

}  // namespace hybridgen
