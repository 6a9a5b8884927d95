// attention: logit-parallel (HybridGen). The device attends to its segment of the newest tokens; the host
// computes logits over the older ones, selects rows, and sends their logits and V rows up; one softmax joins
// both.
#include <vector>

#include "core/base/error.hpp"
#include "core/policy/registry.hpp"
#include "core/policy/segmented_attention.hpp"

namespace hybridgen {
namespace {

class LogitParallelStep final : public SegmentedStep {
 public:
  LogitParallelStep(const Decision& decision, const SelectPart& select, const ModelOps& ops,
                    StepBuilder& builder)
      : SegmentedStep(decision, ops, builder), select_(select), selected_(decision.rows.size()) {}

 private:
  // Scan, select, pack and send up.
  std::vector<OpId> host_side(std::size_t index, int layer, const std::vector<OpId>& ready) override {
    const RequestDecision& row = decision_.rows[index];
    const Tokens first = row.host_tokens - row.scan_tokens;
    const OpId scores = builder_.add(ops_.host_logits(row, layer, first, row.scan_tokens), ready);
    SelectedRows& rows = selected_[index];
    rows.per_head = row.rows_per_head;
    const std::int64_t heads = ops_.model().query_heads;
    if (select_.rule() == SelectRule::threshold) {
      const OutcomeId count =
          builder_.declare(OutcomeKind::selected_rows, row.request, layer, heads, heads * row.rows_per_head);
      rows.total = Amount::per(count, 1);
    } else {
      rows.total = Amount::fixed(heads * row.rows_per_head);
    }
    const OpId selected = builder_.add(
        ops_.select(row, layer, row.scan_tokens, select_.rule(), select_.alpha_milli()), {scores});
    const OpId scores_up = builder_.add(ops_.send_scores(row, layer, rows), {selected});
    const OpId packed = builder_.add(ops_.pack_rows(row, layer, first, rows), {selected});
    return {scores_up, builder_.add(ops_.send_rows(row, layer, rows), {packed})};
  }

  Op device_side(const RequestDecision& row, int layer) override {
    return ops_.device_logits(row, layer, row.device_tokens);
  }

  Op join(std::size_t index, int layer) override {
    const RequestDecision& row = decision_.rows[index];
    return ops_.joint_attend(row, layer, row.device_tokens, selected_[index]);
  }

  const SelectPart& select_;
  std::vector<SelectedRows> selected_;  // by row of the decision, in the layer at hand
};

class LogitParallelAttention final : public SegmentedAttention {
 public:
  using SegmentedAttention::SegmentedAttention;

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override {
    SegmentedAttention::plan_memory(largest, plan);
    plan.exchange_rows_per_head =
        plan.host_tokens > 0 ? needs_.select->rows_per_head(plan.host_tokens, needs_.split->most_ratio()) : 0;
  }

  std::optional<SplitNote> place(const RequestView& request, const Observation& observation,
                                 RequestDecision& row) override {
    const Split split = divide(request, observation, row);
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
};

}  // namespace

PartEntry attention_logit_parallel() {
  return {
      "logit-parallel",
      "host logits over the older tokens, selected V rows up, one softmax with the device's own (HybridGen)",
      {},
      MakeAttention([](const PartContext&, AttentionNeeds needs) -> std::unique_ptr<AttentionPart> {
        const SelectRule rule = needs.select->rule();
        if (rule == SelectRule::page_bound || rule == SelectRule::mean_threshold) {
          throw BadInput(
              "attention logit-parallel chooses single host rows per query head by their logits, and this "
              "select part does not; use select: top-k, threshold or all");
        }
        return std::make_unique<LogitParallelAttention>(std::move(needs));
      })};
}

}  // namespace hybridgen
