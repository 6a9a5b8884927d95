// split: fixed. The device keeps the same number of newest tokens throughout.
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class FixedSplit final : public SplitPart {
 public:
  explicit FixedSplit(Tokens tokens) : tokens_(tokens) {}
  Tokens device_tokens(const RequestView&, const Estimator&) override { return tokens_; }
  Tokens most_device_tokens() const override { return tokens_; }

 private:
  Tokens tokens_;
};

}  // namespace

PartEntry split_fixed() {
  return {"fixed",
          "the device keeps a fixed number of the newest tokens",
          {{"device_kv_tokens",
            "newest tokens whose KV stays on the device",
            ParamKind::tokens,
            1,
            1LL << 40,
            {}}},
          MakeSplit([](const PartContext& context) -> std::unique_ptr<SplitPart> {
            return std::make_unique<FixedSplit>(context.params.get("device_kv_tokens"));
          })};
}

}  // namespace hybridgen
