// The part that gives a policy its shape: where KV lies, who attends, what moves.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/policy/decision.hpp"
#include "core/policy/lookahead_part.hpp"
#include "core/policy/model_ops.hpp"
#include "core/policy/observation.hpp"
#include "core/policy/workload_shape.hpp"
#include "core/residency/memory_plan.hpp"
#include "core/step/step_builder.hpp"

namespace hybridgen {

// The attention ops of one step, layer by layer. Lives while the step is built.
class AttentionStep {
 public:
  virtual ~AttentionStep() = default;
  // Where norm_qkv of this layer writes the new K and V rows, and what it waits for.
  virtual KvTarget kv_target(int layer) = 0;
  // The attention of all rows of the decision in one layer, after its norm_qkv; returns the ops that end it.
  virtual std::vector<OpId> attend(int layer, OpId norm_qkv) = 0;
};

// Who attends to what, and what moves for it.
class AttentionPart {
 public:
  virtual ~AttentionPart() = default;
  // Fills in tiers, and tokens per place for a slot that takes requests up to this size; the policy asks for
  // every slot and turns the answers into reservations. A larger size never needs less.
  virtual void plan_memory(const RequestShape& largest, MemoryPlan& plan) const = 0;
  // Device, host and evicted tokens, scanned tokens and rows per head of the row; position and query tokens
  // are set already. A scheduler says why, where it compared times.
  virtual std::optional<SplitNote> place(const RequestView& request, const Observation& observation,
                                         RequestDecision& row) = 0;
  // Starts building a step: may add ops that come before the first layer.
  virtual std::unique_ptr<AttentionStep> open(const Decision& decision, const ModelOps& ops,
                                              StepBuilder& builder) const = 0;
  // Where the host's logits of a layer come from; `off` where there is no host or no lookahead.
  virtual LookaheadMode lookahead(int) const { return LookaheadMode::off; }
  // For people, beside a result: what a reader of the experiment alone would not know.
  virtual std::vector<std::string> notes() const { return {}; }
};

}  // namespace hybridgen
