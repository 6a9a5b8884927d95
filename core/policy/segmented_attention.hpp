// What attention parts share that divide each request's KV in two: the device segment of the newest tokens
// and the host segment of the older ones, which both sides attend to at once. Evicted rows go down first, so
// that every token is in exactly one segment while the step attends. Prefill is dense on the device.
#pragma once

#include <vector>

#include "core/policy/attention_part.hpp"
#include "core/policy/parts.hpp"

namespace hybridgen {

// A part derives from it and says what each side does in decode.
class SegmentedStep : public AttentionStep {
 public:
  SegmentedStep(const Decision& decision, const ModelOps& ops, StepBuilder& builder);

  KvTarget kv_target(int layer) final;
  std::vector<OpId> attend(int layer, OpId norm_qkv) final;

 protected:
  // Adds the host's ops of the decision's row with this index, which has host tokens: they start after
  // `ready` (its query and the evicted rows are down). Returns those that the join waits for.
  virtual std::vector<OpId> host_side(std::size_t row, int layer, const std::vector<OpId>& ready) = 0;
  // The device's own share, which waits for no host.
  virtual Op device_side(const RequestDecision& row, int layer) = 0;
  // What makes one attention of both; called after the row's host_side.
  virtual Op join(std::size_t row, int layer) = 0;

  const Decision& decision_;
  const ModelOps& ops_;
  StepBuilder& builder_;

 private:
  void evict(int layer);
  std::vector<OpId> prefill(int layer, OpId norm_qkv);
  std::vector<OpId> decode(int layer, OpId norm_qkv);

  bool prefill_;
  std::vector<OpId> evicted_;                // of the layer to come
  std::vector<std::vector<OpId>> offloads_;  // by staging buffer
};

// Segments by the split part, host tiers by the placement part.
class SegmentedAttention : public AttentionPart {
 public:
  explicit SegmentedAttention(AttentionNeeds needs) : needs_(std::move(needs)) {}

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override;

 protected:
  // Asks the split part and fills in the row's device, host and evicted tokens.
  Split divide(const RequestView& request, const Observation& observation, RequestDecision& row);

  AttentionNeeds needs_;
};

}  // namespace hybridgen
