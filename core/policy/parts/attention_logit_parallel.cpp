// attention: logit-parallel (HybridGen). The device attends to its segment of the newest tokens; the host
// computes logits over the older ones, selects rows, and sends their logits and V rows up; one softmax joins
// both. The lookahead part says in which layers the host works one layer ahead of the device.
#include <vector>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "core/policy/registry.hpp"
#include "core/policy/segmented_attention.hpp"
#include "core/residency/exchange.hpp"

namespace hybridgen {
namespace {

class LogitParallelStep final : public SegmentedStep {
 public:
  LogitParallelStep(const Decision& decision, const AttentionNeeds& needs, Tokens sinks, const ModelOps& ops,
                    StepBuilder& builder)
      : SegmentedStep(decision, ops, builder, sinks), select_(*needs.select), lookahead_(*needs.lookahead) {
    for (auto& of_layer : selected_) of_layer.resize(decision.rows.size());
  }

 private:
  bool ahead(int layer) const override {
    return layer < ops_.model().layers && lookahead_.mode(layer) != LookaheadMode::off;
  }
  bool exact_logits_of_rows(int layer) const { return lookahead_.mode(layer) == LookaheadMode::choose; }
  bool corrects(int layer) const {
    return lookahead_.mode(layer) == LookaheadMode::use && lookahead_.corrects();
  }

  // Scan, select, pack and send up: the logits of the rows, or their K where the device has to make them.
  std::vector<OpId> host_side(std::size_t index, int layer, const std::vector<OpId>& ready) override {
    const RequestDecision& row = decision_.rows[index];
    const Tokens first = row.host_tokens - row.scan_tokens;
    const OpId scores = builder_.add(ops_.host_logits(row, layer, first, row.scan_tokens), ready);
    const SelectedRows& rows = selected(layer, index) = rows_to_select(row, layer);
    const OpId chosen = builder_.add(
        ops_.select(row, layer, row.scan_tokens, select_.rule(), select_.alpha_milli()), {scores});
    OpId logits_up;
    if (exact_logits_of_rows(layer)) {
      const OpId keys = builder_.add(ops_.pack_keys(row, layer, first, rows), {chosen});
      logits_up = builder_.add(ops_.send_keys(row, layer, rows), {keys});
    } else {
      logits_up = builder_.add(ops_.send_scores(row, layer, rows), {chosen});
    }
    const OpId packed = builder_.add(ops_.pack_rows(row, layer, first, rows), {chosen});
    return {logits_up, builder_.add(ops_.send_rows(row, layer, rows), {packed})};
  }

  // Rows that go up, declared as an outcome of the next op where only the selection will know: how many lie
  // over a threshold, or how many the choices of a group's heads have in common.
  SelectedRows rows_to_select(const RequestDecision& row, int layer) {
    const MemoryPlan& plan = ops_.plan();
    const std::int64_t heads = packed_heads(ops_.model(), plan);
    const std::int64_t most = packed_rows(plan, row.rows_per_head, row.scan_tokens);
    const bool in_common = plan.exchange_choices > 1 && select_.rule() != SelectRule::all;
    if (select_.rule() != SelectRule::threshold && !in_common) return {Amount::fixed(heads * most), most};
    const std::int64_t least = select_.rule() == SelectRule::threshold ? 1 : row.rows_per_head;
    const OutcomeId count =
        builder_.declare(OutcomeKind::selected_rows, row.request, layer, heads * least, heads * most);
    return {Amount::per(count, 1), most};
  }

  Op device_side(const RequestDecision& row, int layer) override {
    return corrects(layer) ? ops_.fit_logits(row, layer, row.device_tokens)
                           : ops_.device_logits(row, layer, row.device_tokens);
  }

  OpId join(std::size_t index, int layer, OpId device, const std::vector<OpId>& host) override {
    const RequestDecision& row = decision_.rows[index];
    const SelectedRows& rows = selected(layer, index);
    OpId logits = host.front();
    if (exact_logits_of_rows(layer)) logits = builder_.add(ops_.row_logits(row, layer, rows), {logits});
    if (corrects(layer)) logits = builder_.add(ops_.correct_scores(row, layer, rows), {device, logits});
    return builder_.add(ops_.joint_attend(row, layer, row.device_tokens, rows),
                        {device, logits, host.back()});
  }

  // Two layers' choices are alive at once.
  SelectedRows& selected(int layer, std::size_t row) {
    return selected_[static_cast<std::size_t>(layer % 2)][row];
  }

  const SelectPart& select_;
  const LookaheadPart& lookahead_;
  std::vector<SelectedRows> selected_[2];  // by layer mod 2, by row of the decision
};

class LogitParallelAttention final : public SegmentedAttention {
 public:
  LogitParallelAttention(AttentionNeeds needs, const PartContext& context)
      : SegmentedAttention(std::move(needs), context.params.get("sink_tokens")),
        layers_(context.model.layers),
        group_(needs_.select->by() == SelectBy::query_head ? 1 : context.model.group()) {
    HG_CHECK(needs_.split && needs_.placement && needs_.lookahead,
             "attention logit-parallel needs a part in every slot");
  }

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override {
    SegmentedAttention::plan_memory(largest, plan);
    plan.exchange_group = group_;
    plan.exchange_choices = needs_.select->by() == SelectBy::kv_group ? group_ : 1;
    if (plan.host_tokens > 0) plan_lookahead(plan.lookahead);
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
    return std::make_unique<LogitParallelStep>(decision, needs_, sinks_, ops, builder);
  }

  LookaheadMode lookahead(int layer) const override { return needs_.lookahead->mode(layer); }
  std::vector<std::string> notes() const override { return needs_.lookahead->notes(); }

 private:
  void plan_lookahead(LookaheadPlan& plan) const {
    const LookaheadPart& lookahead = *needs_.lookahead;
    for (int layer = 0; layer < layers_; ++layer) {
      const LookaheadMode mode = lookahead.mode(layer);
      plan.predicts = plan.predicts || mode != LookaheadMode::off;
      plan.keys_up = plan.keys_up || mode == LookaheadMode::choose;
      plan.corrects = plan.corrects || (mode == LookaheadMode::use && lookahead.corrects());
    }
    plan.fitted = plan.predicts && lookahead.fitted();
  }

  int layers_;
  int group_;  // query heads whose rows go up together
};

}  // namespace

PartEntry attention_logit_parallel() {
  return {
      "logit-parallel",
      "host logits over the older tokens, selected V rows up, one softmax with the device's own (HybridGen)",
      {{"sink_tokens",
        "first tokens of the text that stay on the device beside the newest ones; a softmax leans on them, "
        "so use some (4) where predicted logits enter",
        ParamKind::tokens, 0, 1 << 20, 0}},
      MakeAttention([](const PartContext& context, AttentionNeeds needs) -> std::unique_ptr<AttentionPart> {
        if (needs.select->rule() == SelectRule::page_bound) {
          throw BadInput(
              "select page-bound chooses pages on the device, and attention logit-parallel sends up single "
              "rows; use attention: pages, or another select");
        }
        if (needs.select->rule() == SelectRule::mean_threshold) {
          throw BadInput(
              "select mean-threshold chooses on the device, and attention logit-parallel lets the host "
              "choose; "
              "use attention: partial-keys, or another select");
        }
        if (needs.select->keep_rule()) {
          throw BadInput(
              "attention logit-parallel selects among host rows, and this select part says what the device "
              "keeps; use select: top-k, or attention: budget");
        }
        return std::make_unique<LogitParallelAttention>(std::move(needs), context);
      })};
}

}  // namespace hybridgen
