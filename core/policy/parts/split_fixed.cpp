// split: fixed. The device keeps the same number of newest tokens throughout.
#include "core/policy/registry.hpp"
#include "core/policy/split_params.hpp"

namespace hybridgen {
namespace {

class FixedSplit final : public SplitPart {
 public:
  FixedSplit(Tokens tokens, Tokens scan_cap) : tokens_(tokens), scan_cap_(scan_cap) {}
  Split split(const RequestView&, const Observation&) override { return {tokens_, scan_cap_, {}, {}}; }
  Tokens least_device_tokens() const override { return tokens_; }
  Tokens most_device_tokens() const override { return tokens_; }

 private:
  Tokens tokens_;
  Tokens scan_cap_;
};

}  // namespace

PartEntry split_fixed() {
  return {"fixed",
          "the device keeps a fixed number of the newest tokens",
          {device_kv_tokens_param(), scan_cap_param()},
          MakeSplit([](const PartContext& context) -> std::unique_ptr<SplitPart> {
            return std::make_unique<FixedSplit>(context.params.get("device_kv_tokens"),
                                                context.params.get("scan_cap"));
          })};
}

}  // namespace hybridgen
