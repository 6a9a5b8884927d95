// attention: device. All KV is resident on the device, which attends to all of it.
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class DeviceStep final : public AttentionStep {
 public:
  DeviceStep(const Decision& decision, const ModelOps& ops, StepBuilder& builder)
      : decision_(decision), ops_(ops), builder_(builder) {}

  KvTarget kv_target(int) override { return {KvPlace::segment, 0, {}}; }

  std::vector<OpId> attend(int layer, OpId norm_qkv) override {
    std::vector<OpId> attended;
    for (const RequestDecision& row : decision_.rows) {
      attended.push_back(
          builder_.add(ops_.attend(row, layer, KvPlace::segment, 0, row.device_tokens), {norm_qkv}));
    }
    return attended;
  }

 private:
  const Decision& decision_;
  const ModelOps& ops_;
  StepBuilder& builder_;
};

class DeviceAttention final : public AttentionPart {
 public:
  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override {
    plan.segment_tokens = largest.most_context();
  }

  std::optional<SplitNote> place(const RequestView&, const Observation&, RequestDecision& row) override {
    row.device_tokens = row.first_position + row.query_tokens;
    return std::nullopt;
  }

  std::unique_ptr<AttentionStep> open(const Decision& decision, const ModelOps& ops,
                                      StepBuilder& builder) const override {
    return std::make_unique<DeviceStep>(decision, ops, builder);
  }
};

}  // namespace

PartEntry attention_device() {
  return {"device",
          "all KV resident on the device, full attention there",
          {},
          MakeAttention([](const PartContext&, AttentionNeeds) -> std::unique_ptr<AttentionPart> {
            return std::make_unique<DeviceAttention>();
          })};
}

}  // namespace hybridgen
