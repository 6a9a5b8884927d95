// attention: pages (Quest). All KV is resident on the device in pages. Of each page and KV head the device
// keeps the least and the largest K of every channel, after rotation; from these a query head knows an upper
// bound of what any row of the page can score:
//   bound = sum over channels of max(q x least, q x largest).
// A step reads the page of the new token and the floor(budget / page) - 1 earlier pages with the largest
// bound, each query head for itself; equal bounds take the older page. The first layers read everything.
#include <algorithm>

#include "core/base/error.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class PagesStep final : public AttentionStep {
 public:
  PagesStep(const Decision& decision, Tokens page, std::int64_t most_pages, int whole_layers,
            const ModelOps& ops, StepBuilder& builder)
      : decision_(decision),
        page_(page),
        most_pages_(most_pages),
        whole_layers_(whole_layers),
        ops_(ops),
        builder_(builder) {}

  KvTarget kv_target(int) override { return {KvPlace::segment, 0, {}}; }

  std::vector<OpId> attend(int layer, OpId norm_qkv) override {
    std::vector<OpId> ends;
    for (const RequestDecision& row : decision_.rows) {
      const bool whole = row.prefill() || layer < whole_layers_;
      OpId bounds;
      if (layer >= whole_layers_) bounds = builder_.add(ops_.page_bounds(row, layer), {norm_qkv});
      ends.push_back(whole ? builder_.add(ops_.attend(row, layer, KvPlace::segment, 0, row.device_tokens),
                                          {norm_qkv, bounds})
                           : pages(row, layer, bounds));
    }
    return ends;
  }

 private:
  OpId pages(const RequestDecision& row, int layer, OpId bounds) {
    const std::int64_t chosen = std::min(row.first_position / page_, most_pages_ - 1);
    const OpId selected = builder_.add(ops_.select_pages(row, layer, chosen), {bounds});
    return builder_.add(ops_.attend_pages(row, layer, chosen), {selected});
  }

  const Decision& decision_;
  Tokens page_;
  std::int64_t most_pages_;  // that a query head reads, the new token's own among them
  int whole_layers_;
  const ModelOps& ops_;
  StepBuilder& builder_;
};

class PagesAttention final : public AttentionPart {
 public:
  PagesAttention(Tokens page, int whole_layers, std::int64_t most_pages)
      : page_(page), whole_layers_(whole_layers), most_pages_(most_pages) {}

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override {
    plan.segment_tokens = largest.most_context();
    plan.pages = (largest.most_context() + page_ - 1) / page_;
    plan.page_tokens = page_;
    plan.whole_layers = whole_layers_;
  }

  std::optional<SplitNote> place(const RequestView&, const Observation&, RequestDecision& row) override {
    row.device_tokens = row.first_position + row.query_tokens;
    return std::nullopt;
  }

  std::unique_ptr<AttentionStep> open(const Decision& decision, const ModelOps& ops,
                                      StepBuilder& builder) const override {
    return std::make_unique<PagesStep>(decision, page_, most_pages_, whole_layers_, ops, builder);
  }

 private:
  Tokens page_;
  int whole_layers_;
  std::int64_t most_pages_;
};

std::unique_ptr<AttentionPart> make(const PartContext& context, AttentionNeeds needs) {
  if (needs.select->rule() != SelectRule::page_bound) {
    throw BadInput(
        "attention pages reads whole pages, and this select part chooses single rows; use select: "
        "page-bound");
  }
  const Tokens page = context.params.get("page_tokens");
  const Tokens budget = needs.select->rows_per_head(0);
  if (budget < page) {
    throw BadInput("budget_tokens: " + std::to_string(budget) + " is less than one page of " +
                   std::to_string(page) +
                   " tokens, and the new token's page is always read; raise it, or "
                   "lower page_tokens");
  }
  return std::make_unique<PagesAttention>(page, static_cast<int>(context.params.get("dense_layers")),
                                          budget / page);
}

}  // namespace

PartEntry attention_pages() {
  return {"pages",
          "all KV on the device in pages, of which each query head reads some (Quest)",
          {{"page_tokens", "tokens of a page", ParamKind::tokens, 1, 1LL << 20, 16},
           {"dense_layers", "first layers that read everything", ParamKind::tokens, 0, 1'000'000, 2}},
          MakeAttention(make)};
}

}  // namespace hybridgen
