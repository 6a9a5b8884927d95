// attention: budget. The device keeps at most so many tokens of each request and attends to those alone; the
// select part says which stay, per KV head. What is dropped is gone: nothing lies on the host. Prefill is
// dense over the whole prompt, which is then compacted layer by layer.
#include <algorithm>
#include <vector>

#include "core/base/error.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class BudgetStep final : public AttentionStep {
 public:
  BudgetStep(const Decision& decision, const KeptBy& by, const ModelOps& ops, StepBuilder& builder)
      : decision_(decision), by_(by), ops_(ops), builder_(builder) {}

  // A decode step's new rows need their slots before they are written.
  KvTarget kv_target(int layer) override {
    if (decision_.rows.front().prefill()) return {KvPlace::staging, 0, {}};
    KvTarget target{KvPlace::kept, 0, {}};
    for (const RequestDecision& row : decision_.rows) {
      target.wait_for.push_back(builder_.add(ops_.evict_row(row, layer, by_), {}));
    }
    return target;
  }

  std::vector<OpId> attend(int layer, OpId norm_qkv) override {
    std::vector<OpId> ends;
    for (const RequestDecision& row : decision_.rows) {
      ends.push_back(row.prefill() ? compact(row, layer, norm_qkv)
                                   : builder_.add(ops_.attend_kept(row, layer, by_), {norm_qkv}));
    }
    return ends;
  }

 private:
  OpId compact(const RequestDecision& row, int layer, OpId norm_qkv) {
    std::vector<OpId> ready = {
        builder_.add(ops_.attend(row, layer, KvPlace::staging, 0, row.query_tokens), {norm_qkv})};
    if (by_.scores()) {
      const Tokens queries = by_.rule == SelectRule::observation_window ? by_.keep.window : row.query_tokens;
      const Tokens first = std::max<Tokens>(0, row.query_tokens - queries);
      ready.push_back(builder_.add(ops_.score_prompt(row, layer, 0, first), {norm_qkv}));
    }
    return builder_.add(ops_.keep_rows(row, layer, 0, by_), ready);
  }

  const Decision& decision_;
  const KeptBy& by_;
  const ModelOps& ops_;
  StepBuilder& builder_;
};

class BudgetAttention final : public AttentionPart {
 public:
  BudgetAttention(Tokens budget, const KeptBy& by, Tokens most_new_tokens)
      : budget_(budget), by_(by), most_new_tokens_(most_new_tokens) {}

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override {
    const Tokens on_top = grows() ? most_new_tokens_ - 1 : 0;
    const Tokens kept = std::min(budget_, grows() ? largest.prompt_tokens : budget_) + on_top;
    plan.segment_tokens = std::min(kept, largest.most_context());
    plan.staging_tokens = largest.prompt_tokens;
    plan.staging_buffers = 1;  // the device is through with a layer's prompt before it begins the next
    plan.kept_rows = true;
  }

  // A prompt is cut to the budget; then each new token costs one, once the budget is full.
  std::optional<SplitNote> place(const RequestView& request, const Observation&,
                                 RequestDecision& row) override {
    const Tokens all = request.device_tokens + row.query_tokens;
    row.device_tokens = grows() && !row.prefill() ? all : std::min(all, budget_);
    row.drop_tokens = all - row.device_tokens;
    return std::nullopt;
  }

  std::unique_ptr<AttentionStep> open(const Decision& decision, const ModelOps& ops,
                                      StepBuilder& builder) const override {
    return std::make_unique<BudgetStep>(decision, by_, ops, builder);
  }

 private:
  // Generated tokens come on top of the budget.
  bool grows() const {
    return by_.rule == SelectRule::observation_window && by_.keep.generated == Generated::keep;
  }

  Tokens budget_;
  KeptBy by_;
  Tokens most_new_tokens_;
};

}  // namespace

PartEntry attention_budget() {
  return {
      "budget",
      "the device keeps so many tokens per KV head and drops the others; select says which stay",
      {{"budget_tokens",
        "tokens per KV head that attention reads, the new one among them",
        ParamKind::tokens,
        1,
        1LL << 40,
        {}}},
      MakeAttention([](const PartContext& context, AttentionNeeds needs) -> std::unique_ptr<AttentionPart> {
        const auto keep = needs.select->keep_rule();
        if (!keep) {
          throw BadInput(
              "attention budget drops tokens, and this select part does not say which stay; use select: "
              "sink-window, or attention: logit-parallel");
        }
        return std::make_unique<BudgetAttention>(context.params.get("budget_tokens"),
                                                 KeptBy{needs.select->rule(), *keep},
                                                 context.most_new_tokens);
      })};
}

}  // namespace hybridgen
