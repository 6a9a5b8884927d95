// What attention parts share that divide each request's KV in two: the device segment of the newest tokens
// (and of the text's first ones, where asked for) and the host segment of those between, which both sides
// attend to at once. Evicted rows go down first, so that every token is in exactly one segment while the step
// attends. The host works within the layer that the device is in, or one layer ahead of it. Prefill is dense
// on the device.
#pragma once

#include <vector>

#include "core/policy/attention_part.hpp"
#include "core/policy/parts.hpp"

namespace hybridgen {

// A part derives from it and says what each side does in decode.
class SegmentedStep : public AttentionStep {
 public:
  // sinks: first tokens that the device keeps of a request that has host tokens.
  SegmentedStep(const Decision& decision, const ModelOps& ops, StepBuilder& builder, Tokens sinks = 0);

  KvTarget kv_target(int layer) final;
  std::vector<OpId> attend(int layer, OpId norm_qkv) final;

 protected:
  // Adds the host's ops of the decision's row with this index, which has host tokens: they start after
  // `ready` (its query and the evicted rows are down). Returns those that the join waits for.
  virtual std::vector<OpId> host_side(std::size_t row, int layer, const std::vector<OpId>& ready) = 0;
  // The device's own share, which waits for no host.
  virtual Op device_side(const RequestDecision& row, int layer) = 0;
  // Adds what makes one attention of both, behind the device's share and what host_side returned; returns the
  // last op.
  virtual OpId join(std::size_t row, int layer, OpId device, const std::vector<OpId>& host) = 0;
  // Whether the host's ops of this layer run one layer early, on a predicted query. Never of layer 0.
  virtual bool ahead(int) const { return false; }

  const Decision& decision_;
  const ModelOps& ops_;
  StepBuilder& builder_;

 private:
  void evict(int layer);
  std::vector<OpId> prefill(int layer, OpId norm_qkv);
  std::vector<OpId> decode(int layer, OpId norm_qkv);
  std::vector<OpId> send_queries(int layer, OpId source);
  std::vector<std::vector<OpId>> host_sides(int layer, const std::vector<OpId>& queries,
                                            const std::vector<OpId>& evicted);

  Tokens sinks_;
  bool prefill_;
  bool on_host_;                                  // some row has host tokens
  std::vector<OpId> evicted_;                     // of the layer to come
  std::vector<std::vector<OpId>> offloads_;       // by staging buffer
  std::vector<std::vector<OpId>> host_is_ahead_;  // by row: host_side of the layer to come, where it is ahead
};

// Segments by the split part, host tiers by the placement part.
class SegmentedAttention : public AttentionPart {
 public:
  explicit SegmentedAttention(AttentionNeeds needs, Tokens sinks = 0)
      : needs_(std::move(needs)), sinks_(sinks) {}

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override;

 protected:
  // Asks the split part and fills in the row's device, host and evicted tokens.
  Split divide(const RequestView& request, const Observation& observation, RequestDecision& row);

  AttentionNeeds needs_;
  Tokens sinks_;
};

}  // namespace hybridgen
