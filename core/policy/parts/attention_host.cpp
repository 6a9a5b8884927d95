// attention: host (FlexGen's CPU attention). The host attends to its segment of the older tokens where they
// lie and sends up a partial output and its log-sum-exp per query head; the device attends to the newest ones
// and joins both. Only q goes down and only partials come up, whatever the context.
#include <vector>

#include "core/policy/registry.hpp"
#include "core/policy/segmented_attention.hpp"

namespace hybridgen {
namespace {

class HostStep final : public SegmentedStep {
 public:
  using SegmentedStep::SegmentedStep;

 private:
  std::vector<OpId> host_side(std::size_t index, int layer, const std::vector<OpId>& ready) override {
    const RequestDecision& row = decision_.rows[index];
    const OpId attended = builder_.add(ops_.host_attend(row, layer, row.host_tokens), ready);
    return {builder_.add(ops_.send_partial(row, layer), {attended})};
  }

  Op device_side(const RequestDecision& row, int layer) override {
    return ops_.device_partial(row, layer, row.device_tokens);
  }

  OpId join(std::size_t index, int layer, OpId device, const std::vector<OpId>& host) override {
    return builder_.add(ops_.join_partials(decision_.rows[index], layer), {device, host.front()});
  }
};

class HostAttention final : public SegmentedAttention {
 public:
  using SegmentedAttention::SegmentedAttention;

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override {
    SegmentedAttention::plan_memory(largest, plan);
    plan.exchange_partials = plan.exchange_partials || plan.host_tokens > 0;
  }

  std::optional<SplitNote> place(const RequestView& request, const Observation& observation,
                                 RequestDecision& row) override {
    return divide(request, observation, row).note;
  }

  std::unique_ptr<AttentionStep> open(const Decision& decision, const ModelOps& ops,
                                      StepBuilder& builder) const override {
    return std::make_unique<HostStep>(decision, ops, builder);
  }
};

}  // namespace

PartEntry attention_host() {
  return {"host",
          "the host attends to the older tokens, partial output and log-sum-exp joined on the device",
          {},
          MakeAttention([](const PartContext&, AttentionNeeds needs) -> std::unique_ptr<AttentionPart> {
            return std::make_unique<HostAttention>(std::move(needs));
          })};
}

}  // namespace hybridgen
