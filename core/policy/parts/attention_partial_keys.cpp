// attention: partial-keys (InfiniGen). KV lies on the host. The device keeps a few columns of K, skewed so
// that these carry most of a score; one layer ahead it guesses the query, scores all rows by these columns
// and says which K and V rows the host is to gather and send up. The true query attends to these and to the
// new token. The first layers have nothing good in front of them: their whole KV comes up.
//
// What the publication leaves open, we chose: columns and skew are shared by a KV head's query heads, the
// rows are each query head's own; the budget does not count the new token; equal scores take the older row.
#include <algorithm>

#include "core/base/error.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

constexpr int kBuffers = 2;

class PartialKeysStep final : public AttentionStep {
 public:
  PartialKeysStep(const Decision& decision, const SelectPart& select, int whole_layers, const ModelOps& ops,
                  StepBuilder& builder)
      : decision_(decision),
        select_(select),
        whole_layers_(std::min(whole_layers, ops.model().layers)),
        ops_(ops),
        builder_(builder),
        prefill_(decision.rows.front().prefill()),
        arrived_(decision.rows.size()),
        offloads_(kBuffers) {
    for (int layer = 0; layer < std::min(kBuffers, whole_layers_); ++layer) load(layer, {});
  }

  // The buffer's rows of two layers ago must be on the host before they are written over.
  KvTarget kv_target(int layer) override {
    return {KvPlace::staging, layer % kBuffers, offloads_[slot(layer)]};
  }

  std::vector<OpId> attend(int layer, OpId norm_qkv) override {
    const std::vector<Arrival> now = std::exchange(arrived_, std::vector<Arrival>(decision_.rows.size()));
    if (!prefill_ && layer + 1 < ops_.model().layers && layer + 1 >= whole_layers_)
      guess(layer + 1, norm_qkv);
    offloads_[slot(layer)].clear();
    std::vector<OpId> attended;
    for (std::size_t i = 0; i < decision_.rows.size(); ++i) {
      const RequestDecision& row = decision_.rows[i];
      std::vector<OpId> ready = loads_[slot(layer)];
      ready.push_back(norm_qkv);
      if (prefill_ || layer < whole_layers_) {
        attended.push_back(builder_.add(ops_.attend(row, layer, KvPlace::staging, layer % kBuffers,
                                                    row.first_position + row.query_tokens),
                                        ready));
      } else {
        ready.push_back(now[i].kv);
        attended.push_back(
            builder_.add(ops_.attend_fetched(row, layer, layer % kBuffers, now[i].rows), ready));
      }
      keep(row, layer, norm_qkv);
    }
    loads_[slot(layer)].clear();
    if (layer + kBuffers < whole_layers_) load(layer + kBuffers, attended);
    return attended;
  }

 private:
  // A row's chosen K and V on their way up for the layer to come.
  struct Arrival {
    OpId kv;
    SelectedRows rows;
  };

  static std::size_t slot(int layer) { return static_cast<std::size_t>(layer % kBuffers); }

  void load(int layer, const std::vector<OpId>& buffer_free) {
    for (const RequestDecision& row : decision_.rows) {
      if (row.first_position == 0) continue;  // prefill: nothing is cached yet
      loads_[slot(layer)].push_back(
          builder_.add(ops_.load_kv(row, layer, layer % kBuffers, row.first_position), buffer_free));
    }
  }

  void guess(int layer, OpId norm_qkv) {
    const OpId predicted = builder_.add(ops_.predict_query(decision_, layer), {norm_qkv});
    for (std::size_t i = 0; i < decision_.rows.size(); ++i) {
      const RequestDecision& row = decision_.rows[i];
      SelectedRows& rows = arrived_[i].rows;
      const std::int64_t heads = ops_.model().query_heads;
      const OutcomeId count =
          builder_.declare(OutcomeKind::selected_rows, row.request, layer, heads, heads * row.rows_per_head);
      rows = {Amount::per(count, 1), row.rows_per_head};
      const OpId chosen = builder_.add(ops_.partial_select(row, layer, select_.alpha_milli()), {predicted});
      const OpId down = builder_.add(ops_.send_choice(row, layer, rows), {chosen});
      const OpId gathered = builder_.add(ops_.gather_kv(row, layer, rows), {down});
      arrived_[i].kv = builder_.add(ops_.send_kv(row, layer, rows), {gathered});
    }
  }

  // The new rows go down; where rows are chosen, into the pool, and their partial K stays.
  void keep(const RequestDecision& row, int layer, OpId norm_qkv) {
    const int buffer = layer % kBuffers;
    OpId placed = norm_qkv;
    if (layer >= whole_layers_) placed = builder_.add(ops_.partial_keys(row, layer, buffer), {norm_qkv});
    const bool one = !prefill_ && layer >= whole_layers_;
    offloads_[slot(layer)].push_back(builder_.add(
        one ? ops_.pool_row(row, layer, buffer)
            : ops_.offload_kv(row, layer, KvPlace::staging, buffer, row.first_position, row.query_tokens),
        {placed}));
  }

  const Decision& decision_;
  const SelectPart& select_;
  int whole_layers_;
  const ModelOps& ops_;
  StepBuilder& builder_;
  bool prefill_;
  std::vector<Arrival> arrived_;                    // by row, of the layer to come
  std::vector<std::vector<OpId>> loads_{kBuffers};  // by buffer: copies that fill it
  std::vector<std::vector<OpId>> offloads_;         // by buffer: copies that empty it
};

class PartialKeysAttention final : public AttentionPart {
 public:
  PartialKeysAttention(AttentionNeeds needs, int whole_layers, const PartialPlan& partial)
      : needs_(std::move(needs)), whole_layers_(whole_layers), partial_(partial) {}

  void plan_memory(const RequestShape& largest, MemoryPlan& plan) const override {
    const Tokens context = largest.most_context();
    plan.host_k_tier = needs_.placement->host_k();
    plan.host_v_tier = needs_.placement->host_v();
    plan.host_tokens = context;
    plan.staging_tokens = context;
    plan.staging_buffers = kBuffers;
    plan.exchange_rows_per_head = needs_.select->rows_per_head(slots(largest.prompt_tokens, context));
    plan.pool_slots = slots(largest.prompt_tokens, context);
    plan.whole_layers = whole_layers_;
    plan.partial = partial_;
  }

  std::optional<SplitNote> place(const RequestView& request, const Observation&,
                                 RequestDecision& row) override {
    row.host_tokens = row.first_position + row.query_tokens;
    if (!row.prefill()) {
      row.scan_tokens = slots(request.prompt_tokens, row.first_position);
      row.rows_per_head = needs_.select->rows_per_head(row.scan_tokens);
    }
    return std::nullopt;
  }

  std::unique_ptr<AttentionStep> open(const Decision& decision, const ModelOps& ops,
                                      StepBuilder& builder) const override {
    return std::make_unique<PartialKeysStep>(decision, *needs_.select, whole_layers_, ops, builder);
  }

 private:
  // Of the pool, at so many tokens: the prompt is not trimmed before the first step.
  Tokens slots(Tokens prompt, Tokens tokens) const {
    return partial_.pool_tokens == 0 ? tokens : std::min(tokens, std::max(prompt, partial_.pool_tokens));
  }

  AttentionNeeds needs_;
  int whole_layers_;
  PartialPlan partial_;
};

std::unique_ptr<AttentionPart> make(const PartContext& context, AttentionNeeds needs) {
  if (needs.select->rule() != SelectRule::mean_threshold) {
    throw BadInput(
        "attention partial-keys takes equally many rows for every query head; use select: "
        "mean-threshold");
  }
  const Params& params = context.params;
  PartialPlan partial;
  const Ppm ratio = params.get("partial_ratio");
  partial.columns = static_cast<int>(std::max<std::int64_t>(1, ratio * context.model.head_dim / kPpmOne));
  partial.own_norm = params.get("predict_norm") == 0;
  partial.pool_tokens = params.get("pool_tokens");
  partial.evict = static_cast<PoolEviction>(params.get("pool_evict"));
  return std::make_unique<PartialKeysAttention>(std::move(needs),
                                                static_cast<int>(params.get("whole_layers")), partial);
}

}  // namespace

PartEntry attention_partial_keys() {
  return {
      "partial-keys",
      "KV on the host; rows chosen a layer ahead by a few columns of the skewed K come up (InfiniGen)",
      {{"partial_ratio", "share of K's columns that the device keeps", ParamKind::ratio, 0, kPpmOne, 200'000},
       {"whole_layers", "first layers whose whole KV comes up", ParamKind::tokens, 1, 1'000'000, 2},
       {"predict_norm",
        "norm before the guessed query: that of the layer whose input it is, as published, or the next one's",
        ParamKind::choice,
        0,
        1,
        0,
        {"own", "next"}},
       {"pool_tokens", "rows per KV head that the host keeps; 0: all", ParamKind::tokens, 0, 1LL << 40, 0},
       {"pool_evict",
        "which row of a full pool goes",
        ParamKind::choice,
        0,
        2,
        2,
        {"fifo", "lru", "counter"}}},
      MakeAttention(make)};
}

}  // namespace hybridgen
