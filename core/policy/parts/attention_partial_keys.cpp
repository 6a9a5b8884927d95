// attention: partial-keys (InfiniGen). KV lies on the host. The device keeps a few columns of K, skewed so
// that these carry most of a score; one layer ahead it predicts the query, scores all rows by these columns
// and says which K and V rows the host is to send up. The true query attends to these and to the new token.
// The first layers have nothing good in front of them: their whole KV comes up.
//
// What the publication leaves open, we chose: columns and skew are shared by a KV head's query heads, the
// rows are each query head's own; the budget does not count the new token; equal scores take the older row.
#include <algorithm>
#include <utility>

#include "core/base/error.hpp"
#include "core/policy/registry.hpp"
#include "core/policy/staged_kv.hpp"

namespace hybridgen {
namespace {

class PartialKeysStep final : public AttentionStep {
 public:
  PartialKeysStep(const Decision& decision, const SelectPart& select, const ModelOps& ops,
                  StepBuilder& builder)
      : decision_(decision),
        select_(select),
        whole_layers_(ops.plan().whole_layers),
        ops_(ops),
        builder_(builder),
        prefill_(decision.rows.front().prefill()),
        staged_(decision, ops, builder) {
    for (int layer = 0; layer < std::min(kStagingBuffers, whole_layers_); ++layer) staged_.load(layer, {});
  }

  KvTarget kv_target(int layer) override { return staged_.target(layer); }

  std::vector<OpId> attend(int layer, OpId norm_qkv) override {
    const std::vector<Fetched> fetched = std::exchange(fetched_, {});
    if (!prefill_ && layer + 1 < ops_.model().layers && layer + 1 >= whole_layers_)
      fetch(layer + 1, norm_qkv);
    std::vector<OpId> attended;
    for (std::size_t i = 0; i < decision_.rows.size(); ++i) {
      const RequestDecision& row = decision_.rows[i];
      attended.push_back(prefill_ || layer < whole_layers_
                             ? staged_.attend(row, layer, norm_qkv)
                             : builder_.add(ops_.attend_fetched(row, layer, fetched[i].rows),
                                            {norm_qkv, fetched[i].keys, fetched[i].values}));
    }
    keep_new_rows(layer, norm_qkv);
    if (layer + kStagingBuffers < whole_layers_) staged_.load(layer + kStagingBuffers, attended);
    return attended;
  }

 private:
  // A request's chosen rows on their way up for the layer to come.
  struct Fetched {
    OpId keys, values;
    SelectedRows rows;
  };

  void fetch(int layer, OpId norm_qkv) {
    const OpId predicted = builder_.add(ops_.predict_query(decision_, layer), {norm_qkv});
    const std::int64_t heads = ops_.model().query_heads;
    for (const RequestDecision& row : decision_.rows) {
      const OutcomeId count =
          builder_.declare(OutcomeKind::selected_rows, row.request, layer, heads, heads * row.rows_per_head);
      const SelectedRows rows = {Amount::per(count, 1), row.rows_per_head};
      const OpId chosen = builder_.add(ops_.partial_select(row, layer, select_.alpha_milli()), {predicted});
      const OpId down = builder_.add(ops_.send_choice(row, layer, rows), {chosen});
      const OpId keys = builder_.add(ops_.pack_keys(row, layer, 0, rows), {down});
      const OpId keys_up = builder_.add(ops_.send_keys(row, layer, rows), {keys});
      const OpId values = builder_.add(ops_.pack_rows(row, layer, 0, rows), {down});
      fetched_.push_back({keys_up, builder_.add(ops_.send_rows(row, layer, rows), {values}), rows});
    }
  }

  // They go down; where rows are chosen, into the pool, and their partial K stays.
  void keep_new_rows(int layer, OpId norm_qkv) {
    const bool chooses = layer >= whole_layers_;
    std::vector<OpId> downs;
    for (const RequestDecision& row : decision_.rows) {
      const OpId placed = chooses ? builder_.add(ops_.partial_keys(row, layer), {norm_qkv}) : norm_qkv;
      const Op down = chooses && !prefill_ ? ops_.pool_row(row, layer) : staged_.offload(row, layer);
      downs.push_back(builder_.add(down, {placed}));
    }
    staged_.emptied_by(layer, std::move(downs));
  }

  const Decision& decision_;
  const SelectPart& select_;
  int whole_layers_;
  const ModelOps& ops_;
  StepBuilder& builder_;
  bool prefill_;
  StagedKv staged_;
  std::vector<Fetched> fetched_;  // by row
};

class PartialKeysAttention final : public AttentionPart {
 public:
  PartialKeysAttention(AttentionNeeds needs, const ModelShape& model, const Params& params)
      : needs_(std::move(needs)),
        whole_layers_(static_cast<int>(std::min<std::int64_t>(params.get("whole_layers"), model.layers))),
        chooses_(whole_layers_ < model.layers),
        own_norm_(params.get("predict_norm") == 0) {
    const Ppm ratio = params.get("partial_ratio");
    partial_.columns = static_cast<int>(std::max<std::int64_t>(1, ratio * model.head_dim / kPpmOne));
    partial_.pool_tokens = params.get("pool_tokens");
    partial_.evict = static_cast<PoolEviction>(params.get("pool_evict"));
  }

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override {
    const Tokens context = largest.most_context();
    needs_.placement->fill_in(plan);
    plan.host_tokens = context;
    plan.staging_tokens = context;
    plan.staging_buffers = kStagingBuffers;
    plan.whole_layers = whole_layers_;
    if (!chooses_) return;
    plan.pool_slots = slots(largest.prompt_tokens, context);
    plan.exchange_rows_per_head = needs_.select->rows_per_head(plan.pool_slots);
    plan.partial = partial_;
    plan.lookahead.predicts = true;
    plan.lookahead.keys_up = true;
    plan.lookahead.own_norm = own_norm_;
  }

  // host_tokens counts every token: the whole layers have them all.
  std::optional<SplitNote> place(const RequestView& request, const Observation&,
                                 RequestDecision& row) override {
    row.host_tokens = row.first_position + row.query_tokens;
    if (row.prefill() || !chooses_) return std::nullopt;
    const Tokens pooled = rows(request.prompt_tokens, row.first_position);
    row.scan_tokens = slots(request.prompt_tokens, row.first_position);
    row.rows_per_head = needs_.select->rows_per_head(pooled);
    row.trim_tokens = pooled + 1 - rows(request.prompt_tokens, row.first_position + 1);
    return std::nullopt;
  }

  std::unique_ptr<AttentionStep> open(const Decision& decision, const ModelOps& ops,
                                      StepBuilder& builder) const override {
    return std::make_unique<PartialKeysStep>(decision, *needs_.select, ops, builder);
  }

 private:
  // Slots of a pool that have been taken when so many tokens are cached: a prompt's rows stay until the first
  // new row makes room for itself, and slots that are given up are taken again.
  Tokens slots(Tokens prompt, Tokens cached) const {
    return bounded() ? std::min(cached, std::max(prompt, partial_.pool_tokens)) : cached;
  }
  // Rows in these slots.
  Tokens rows(Tokens prompt, Tokens cached) const {
    return bounded() && cached > prompt ? std::min(cached, partial_.pool_tokens) : cached;
  }
  bool bounded() const { return partial_.pool_tokens > 0; }

  AttentionNeeds needs_;
  int whole_layers_;
  bool chooses_;  // some layer is behind them
  bool own_norm_;
  PartialPlan partial_;
};

std::unique_ptr<AttentionPart> make(const PartContext& context, AttentionNeeds needs) {
  if (needs.select->rule() != SelectRule::mean_threshold) {
    throw BadInput(
        "attention partial-keys takes equally many rows for every query head; use select: mean-threshold");
  }
  return std::make_unique<PartialKeysAttention>(std::move(needs), context.model, context.params);
}

}  // namespace

PartEntry attention_partial_keys() {
  return {
      "partial-keys",
      "KV on the host; rows chosen a layer ahead by a few columns of the skewed K come up (InfiniGen)",
      {{"partial_ratio", "share of K's columns that the device keeps", ParamKind::ratio, 0, kPpmOne, 200'000},
       {"whole_layers", "first layers whose whole KV comes up", ParamKind::tokens, 1, 1'000'000, 2},
       {"predict_norm",
        "norm before the predicted query: of the layer whose input it is, as published, or of the next one",
        ParamKind::choice,
        0,
        1,
        0,
        {"own", "next"}},
       {"pool_tokens", "rows per KV head that the host keeps; 0: all", ParamKind::tokens, 0, 1LL << 40, 0},
       {"pool_evict",
        "which row of a full pool goes: the oldest, the longest unread, or the least often read",
        ParamKind::choice,
        0,
        2,
        2,
        {"fifo", "lru", "counter"}}},
      MakeAttention(make)};
}

}  // namespace hybridgen
