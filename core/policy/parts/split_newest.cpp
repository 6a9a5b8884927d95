// split: newest. The device keeps the newest token alone, whose K and V it has just made; the host has all
// others.
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class NewestSplit final : public SplitPart {
 public:
  Split split(const RequestView&, const Observation&) override { return {1, 0, {}, {}}; }
  Tokens least_device_tokens() const override { return 1; }
  Tokens most_device_tokens() const override { return 1; }
};

}  // namespace

PartEntry split_newest() {
  return {"newest",
          "the device keeps the newest token alone, the host all others",
          {},
          MakeSplit([](const PartContext&) -> std::unique_ptr<SplitPart> {
            return std::make_unique<NewestSplit>();
          })};
}

}  // namespace hybridgen
