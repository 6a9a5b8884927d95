// attention: logit-parallel (HybridGen). The device attends to its segment of the newest tokens; the host
// computes logits over the older ones, selects rows, and sends their logits and V rows up; one softmax joins
// both. Evicted rows go down first, so that every token is in exactly one segment while the step attends.
#include <algorithm>
#include <vector>

#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

constexpr int kPrefillBuffers = 2;

class LogitParallelStep final : public AttentionStep {
 public:
  LogitParallelStep(const Decision& decision, const SelectPart& select, const ModelOps& ops,
                    StepBuilder& builder)
      : decision_(decision),
        select_(select),
        ops_(ops),
        builder_(builder),
        prefill_(decision.rows.front().prefill()),
        offloads_(kPrefillBuffers) {
    evict(0);
  }

  KvTarget kv_target(int layer) override {
    if (prefill_) return {KvPlace::staging, layer % kPrefillBuffers, offloads_[slot(layer)]};
    return {KvPlace::segment, 0, evicted_};
  }

  std::vector<OpId> attend(int layer, OpId norm_qkv) override {
    return prefill_ ? prefill(layer, norm_qkv) : decode(layer, norm_qkv);
  }

 private:
  static std::size_t slot(int layer) { return static_cast<std::size_t>(layer % kPrefillBuffers); }

  // The oldest rows of a layer's segment go down: their slots are the new tokens'.
  void evict(int layer) {
    evicted_.clear();
    if (prefill_ || layer == ops_.model().layers) return;
    for (const RequestDecision& row : decision_.rows) {
      if (row.evict_tokens == 0) continue;
      const Tokens first = row.host_tokens - row.evict_tokens;
      evicted_.push_back(
          builder_.add(ops_.offload_kv(row, layer, KvPlace::segment, 0, first, row.evict_tokens), {}));
    }
  }

  // Full attention over the prompt; then its newest rows stay and the older ones go down.
  std::vector<OpId> prefill(int layer, OpId norm_qkv) {
    const int buffer = layer % kPrefillBuffers;
    std::vector<OpId> kept;
    offloads_[slot(layer)].clear();
    for (const RequestDecision& row : decision_.rows) {
      const OpId attended =
          builder_.add(ops_.attend(row, layer, KvPlace::staging, buffer, row.query_tokens), {norm_qkv});
      if (row.host_tokens > 0) {
        offloads_[slot(layer)].push_back(builder_.add(
            ops_.offload_kv(row, layer, KvPlace::staging, buffer, 0, row.host_tokens), {norm_qkv}));
      }
      kept.push_back(
          builder_.add(ops_.keep_kv(row, layer, buffer, row.host_tokens, row.device_tokens), {attended}));
    }
    return kept;
  }

  // What one row's softmax waits for.
  struct Joint {
    SelectedRows rows;
    OpId scores_up;
    OpId rows_up;
  };

  // The queries of all rows go down first, then the next layer's evictions, then the scans; the device
  // computes its own logits of all rows before it waits for the first host's.
  std::vector<OpId> decode(int layer, OpId norm_qkv) {
    const std::vector<OpId> evicted = evicted_;
    std::vector<OpId> queries;
    for (const RequestDecision& row : decision_.rows) {
      queries.push_back(row.host_tokens > 0 ? builder_.add(ops_.send_query(row, layer), {norm_qkv}) : OpId());
    }
    evict(layer + 1);
    std::vector<Joint> joints;
    std::vector<OpId> near;
    for (std::size_t i = 0; i < decision_.rows.size(); ++i) {
      const RequestDecision& row = decision_.rows[i];
      std::vector<OpId> scan_after = evicted;
      scan_after.push_back(queries[i]);
      joints.push_back(row.host_tokens > 0 ? host_side(row, layer, scan_after) : Joint{});
      near.push_back(row.host_tokens > 0
                         ? builder_.add(ops_.device_logits(row, layer, row.device_tokens), {norm_qkv})
                         : OpId());
    }
    std::vector<OpId> attended;
    for (std::size_t i = 0; i < decision_.rows.size(); ++i) {
      const RequestDecision& row = decision_.rows[i];
      attended.push_back(
          row.host_tokens > 0
              ? builder_.add(ops_.joint_attend(row, layer, row.device_tokens, joints[i].rows),
                             {near[i], joints[i].scores_up, joints[i].rows_up})
              : builder_.add(ops_.attend(row, layer, KvPlace::segment, 0, row.device_tokens), {norm_qkv}));
    }
    return attended;
  }

  // Scan, select, pack and send up.
  Joint host_side(const RequestDecision& row, int layer, const std::vector<OpId>& scan_after) {
    const Tokens first = row.host_tokens - row.scan_tokens;
    const OpId scores = builder_.add(ops_.host_logits(row, layer, first, row.scan_tokens), scan_after);
    Joint joint;
    joint.rows.per_head = row.rows_per_head;
    const std::int64_t heads = ops_.model().query_heads;
    if (select_.rule() == SelectRule::threshold) {
      const OutcomeId count =
          builder_.declare(OutcomeKind::selected_rows, row.request, layer, heads, heads * row.rows_per_head);
      joint.rows.total = Amount::per(count, 1);
    } else {
      joint.rows.total = Amount::fixed(heads * row.rows_per_head);
    }
    const OpId selected = builder_.add(
        ops_.select(row, layer, row.scan_tokens, select_.rule(), select_.alpha_milli()), {scores});
    joint.scores_up = builder_.add(ops_.send_scores(row, layer, joint.rows), {selected});
    const OpId packed = builder_.add(ops_.pack_rows(row, layer, first, joint.rows), {selected});
    joint.rows_up = builder_.add(ops_.send_rows(row, layer, joint.rows), {packed});
    return joint;
  }

  const Decision& decision_;
  const SelectPart& select_;
  const ModelOps& ops_;
  StepBuilder& builder_;
  bool prefill_;
  std::vector<OpId> evicted_;                // of the layer to come
  std::vector<std::vector<OpId>> offloads_;  // by staging buffer
};

class LogitParallelAttention final : public AttentionPart {
 public:
  explicit LogitParallelAttention(AttentionNeeds needs) : needs_(std::move(needs)) {}

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override {
    plan.host_k_tier = needs_.placement->host_k();
    plan.host_v_tier = needs_.placement->host_v();
    plan.segment_tokens = std::min(needs_.split->most_device_tokens(), largest.most_context());
    plan.host_tokens =
        largest.most_context() - std::min(needs_.split->least_device_tokens(), plan.segment_tokens);
    plan.staging_tokens = largest.prompt_tokens;
    plan.staging_buffers = kPrefillBuffers;
    plan.exchange_rows_per_head =
        plan.host_tokens > 0 ? needs_.select->rows_per_head(plan.host_tokens, needs_.split->most_ratio()) : 0;
  }

  std::optional<SplitNote> place(const RequestView& request, const Observation& observation,
                                 RequestDecision& row) override {
    const Tokens context = row.first_position + row.query_tokens;
    const Split split = needs_.split->split(request, observation);
    // Rows never come back up: a segment that may grow does so by the new tokens alone.
    const Tokens most = row.prefill() ? context : request.device_tokens + row.query_tokens;
    row.device_tokens = std::min({split.device_tokens, most, context});
    row.host_tokens = context - row.device_tokens;
    row.evict_tokens = row.prefill() ? 0 : row.host_tokens - request.host_tokens;
    if (row.host_tokens > 0 && !row.prefill()) {
      row.scan_tokens = split.scan_cap == 0 ? row.host_tokens : std::min(split.scan_cap, row.host_tokens);
      row.rows_per_head =
          std::min(row.scan_tokens, needs_.select->rows_per_head(row.host_tokens, split.ratio));
    }
    return split.note;
  }

  std::unique_ptr<AttentionStep> open(const Decision& decision, const ModelOps& ops,
                                      StepBuilder& builder) const override {
    return std::make_unique<LogitParallelStep>(decision, *needs_.select, ops, builder);
  }

 private:
  AttentionNeeds needs_;
};

}  // namespace

PartEntry attention_logit_parallel() {
  return {
      "logit-parallel",
      "host logits over the older tokens, selected V rows up, one softmax with the device's own (HybridGen)",
      {},
      MakeAttention([](const PartContext&, AttentionNeeds needs) -> std::unique_ptr<AttentionPart> {
        return std::make_unique<LogitParallelAttention>(std::move(needs));
      })};
}

}  // namespace hybridgen
