// admission: static. Requests start in groups: the next group starts once the last request of this one has
// ended.
#include <algorithm>

#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class StaticAdmission final : public AdmissionPart {
 public:
  // A group is complete when its first request decodes; until then all of it were only prefilled.
  bool admits(const Observation& observation) const override {
    return std::none_of(
        observation.requests.begin(), observation.requests.end(),
        [](const RequestView& request) { return request.in_flight() && request.generated > 1; });
  }
};

}  // namespace

PartEntry admission_static() {
  return {"static",
          "requests start in groups that end before the next begins",
          {},
          MakeAdmission([](const PartContext&) -> std::unique_ptr<AdmissionPart> {
            return std::make_unique<StaticAdmission>();
          })};
}

}  // namespace hybridgen
