// attention: stream. KV lives on the host; each layer's is copied to the device for the step, two layers'
// buffers in turn, so that the copy of the next layer overlaps the work of this one (FlexGen's schedule with
// one batch).
#include <algorithm>
#include <utility>
#include <vector>

#include "core/policy/registry.hpp"
#include "core/policy/staged_kv.hpp"

namespace hybridgen {
namespace {

class StreamStep final : public AttentionStep {
 public:
  StreamStep(const Decision& decision, const ModelOps& ops, StepBuilder& builder)
      : decision_(decision), layers_(ops.model().layers), builder_(builder), staged_(decision, ops, builder) {
    for (int layer = 0; layer < std::min(kStagingBuffers, layers_); ++layer) staged_.load(layer, {});
  }

  KvTarget kv_target(int layer) override { return staged_.target(layer); }

  std::vector<OpId> attend(int layer, OpId norm_qkv) override {
    std::vector<OpId> attended;
    std::vector<OpId> offloads;
    for (const RequestDecision& row : decision_.rows) {
      attended.push_back(staged_.attend(row, layer, norm_qkv));
      offloads.push_back(builder_.add(staged_.offload(row, layer), {norm_qkv}));
    }
    staged_.emptied_by(layer, std::move(offloads));
    if (layer + kStagingBuffers < layers_) staged_.load(layer + kStagingBuffers, attended);
    return attended;
  }

 private:
  const Decision& decision_;
  int layers_;
  StepBuilder& builder_;
  StagedKv staged_;
};

class StreamAttention final : public AttentionPart {
 public:
  explicit StreamAttention(AttentionNeeds needs) : needs_(std::move(needs)) {}

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override {
    needs_.placement->fill_in(plan);
    plan.host_tokens = largest.most_context();
    plan.staging_tokens = largest.most_context();
    plan.staging_buffers = kStagingBuffers;
  }

  std::optional<SplitNote> place(const RequestView&, const Observation&, RequestDecision& row) override {
    row.host_tokens = row.first_position + row.query_tokens;
    return std::nullopt;
  }

  std::unique_ptr<AttentionStep> open(const Decision& decision, const ModelOps& ops,
                                      StepBuilder& builder) const override {
    return std::make_unique<StreamStep>(decision, ops, builder);
  }

 private:
  AttentionNeeds needs_;
};

}  // namespace

PartEntry attention_stream() {
  return {"stream",
          "KV on the host, copied to the device layer by layer in each step",
          {},
          MakeAttention([](const PartContext&, AttentionNeeds needs) -> std::unique_ptr<AttentionPart> {
            return std::make_unique<StreamAttention>(std::move(needs));
          })};
}

}  // namespace hybridgen
