// attention: stream. KV lives on the host; each layer's is copied to the device for the step, two layers'
// buffers in turn, so that the copy of the next layer overlaps the work of this one (FlexGen's schedule with
// one batch).
#include <algorithm>
#include <vector>

#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

constexpr int kBuffers = 2;

class StreamStep final : public AttentionStep {
 public:
  StreamStep(const Decision& decision, const ModelOps& ops, StepBuilder& builder)
      : decision_(decision), ops_(ops), builder_(builder), loads_(kBuffers), offloads_(kBuffers) {
    for (int layer = 0; layer < std::min(kBuffers, ops_.model().layers); ++layer) load(layer, {});
  }

  KvTarget kv_target(int layer) override {
    // The buffer's rows of two layers ago must be on the host before they are written over.
    return {KvPlace::staging, layer % kBuffers, offloads_[slot(layer)]};
  }

  std::vector<OpId> attend(int layer, OpId norm_qkv) override {
    const int buffer = layer % kBuffers;
    std::vector<OpId> ready = std::move(loads_[slot(layer)]);
    ready.push_back(norm_qkv);
    std::vector<OpId> attended;
    offloads_[slot(layer)].clear();
    for (const RequestDecision& row : decision_.rows) {
      const Tokens context = row.first_position + row.query_tokens;
      attended.push_back(builder_.add(ops_.attend(row, layer, KvPlace::staging, buffer, context), ready));
      offloads_[slot(layer)].push_back(builder_.add(
          ops_.offload_kv(row, layer, KvPlace::staging, buffer, row.first_position, row.query_tokens),
          {norm_qkv}));
    }
    loads_[slot(layer)].clear();
    if (layer + kBuffers < ops_.model().layers) load(layer + kBuffers, attended);
    return attended;
  }

 private:
  static std::size_t slot(int layer) { return static_cast<std::size_t>(layer % kBuffers); }

  void load(int layer, const std::vector<OpId>& buffer_free) {
    for (const RequestDecision& row : decision_.rows) {
      if (row.first_position == 0) continue;  // prefill: nothing is cached yet
      loads_[slot(layer)].push_back(
          builder_.add(ops_.load_kv(row, layer, layer % kBuffers, row.first_position), buffer_free));
    }
  }

  const Decision& decision_;
  const ModelOps& ops_;
  StepBuilder& builder_;
  std::vector<std::vector<OpId>> loads_;     // by buffer: copies that fill it
  std::vector<std::vector<OpId>> offloads_;  // by buffer: copies that empty it
};

class StreamAttention final : public AttentionPart {
 public:
  explicit StreamAttention(AttentionNeeds needs) : needs_(std::move(needs)) {}

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override {
    needs_.placement->fill_in(plan);
    plan.host_tokens = largest.most_context();
    plan.staging_tokens = largest.most_context();
    plan.staging_buffers = kBuffers;
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
