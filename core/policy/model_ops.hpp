// Makes ops with the traffic of a model: the one place where shapes become bytes and flops.
// Queries and logits travel as fp32, K and V rows in the KV dtype, in every executor.
#pragma once

#include <vector>

#include "core/machine/model_shape.hpp"
#include "core/policy/decision.hpp"
#include "core/residency/memory_plan.hpp"
#include "core/step/op.hpp"

namespace hybridgen {

inline constexpr Bytes kQueryBytes = 4;
inline constexpr Bytes kLogitBytes = 4;
inline constexpr Bytes kMassBytes = 4;      // of a row's attention mass, per KV head
inline constexpr Bytes kPositionBytes = 4;  // of a kept row's position, per KV head
inline constexpr Bytes kIndexBytes = 4;     // of a chosen row
inline constexpr Bytes kSkewBytes = 4;      // of an element of the skew

// A partial attention of one query token: fp32 output and log-sum-exp of every query head.
inline Bytes partial_bytes(const ModelShape& model) {
  return model.q_width() * kQueryBytes + model.query_heads * kLogitBytes;
}

// Channels of a partial K row: the columns, filled up to the multiple of 16 that kernels take.
inline int partial_width(int columns) {
  return (columns + 15) / 16 * 16;
}
// A token's partial K in a layer, all KV heads.
inline Bytes partial_row_bytes(const ModelShape& model, const MemoryPlan& plan) {
  return model.kv_heads * row_bytes(plan.kv_dtype, partial_width(plan.partial.columns));
}
// So many columns of the skew in a layer, all KV heads.
inline Bytes skew_bytes(const ModelShape& model, int columns) {
  return model.kv_width() * columns * kSkewBytes;
}

// Keys that so many causal queries see, the last of which sees `tokens`.
inline std::int64_t causal_pairs(std::int64_t queries, std::int64_t tokens) {
  return queries * (tokens - queries) + queries * (queries + 1) / 2;
}

inline Amount scaled(const Amount& rows, std::int64_t factor) {
  return {rows.base * factor, rows.per_count * factor, rows.outcome};
}

// Where norm_qkv writes, and the ops it must wait for.
struct KvTarget {
  KvPlace place = KvPlace::segment;
  int buffer = 0;
  std::vector<OpId> wait_for;
};

// Host V rows that go up for one request in one layer, summed over the heads that they are packed for (query
// heads, or KV heads): known, or an outcome. As many logits go up, times the plan's exchange_group.
struct SelectedRows {
  Amount total;
  std::int64_t per_head = 0;  // of one packed head: exact or bound
};

// Which rows stay.
struct KeptBy {
  SelectRule rule = SelectRule::sink_window;
  KeepRule keep;

  bool scores() const { return rule != SelectRule::sink_window; }  // rows are known by a mass, too
};

class ModelOps {
 public:
  ModelOps(const ModelShape& model, const MemoryPlan& plan) : model_(model), plan_(plan) {}

  const ModelShape& model() const { return model_; }
  const MemoryPlan& plan() const { return plan_; }

  // Over all rows of the batch.
  Op embed(const Decision& decision) const;
  Op norm_qkv(const Decision& decision, int layer, const KvTarget& target) const;
  Op project_out(const Decision& decision, int layer) const;
  Op ffn(const Decision& decision, int layer) const;
  Op lm_head(const Decision& decision) const;
  // This layer's queries from the input of the layer before it.
  Op predict_query(const Decision& decision, int layer) const;

  // One request.
  Op sample(const RequestDecision& row) const;

  // One request, one layer.
  // Full attention of the row's query tokens over `tokens` tokens that lie in `place`.
  Op attend(const RequestDecision& row, int layer, KvPlace place, int buffer, Tokens tokens) const;
  Op load_kv(const RequestDecision& row, int layer, int buffer, Tokens tokens) const;
  Op offload_kv(const RequestDecision& row, int layer, KvPlace place, int buffer, Tokens first,
                Tokens tokens) const;
  Op keep_kv(const RequestDecision& row, int layer, int buffer, Tokens first, Tokens tokens) const;
  Op send_query(const RequestDecision& row, int layer, bool predicted = false) const;
  // Over `tokens` host tokens from `first` on; select and pack_rows count from there.
  Op host_logits(const RequestDecision& row, int layer, Tokens first, Tokens tokens) const;
  Op select(const RequestDecision& row, int layer, Tokens tokens, SelectRule rule,
            std::int64_t alpha_milli) const;
  Op pack_keys(const RequestDecision& row, int layer, Tokens first, const SelectedRows& rows) const;
  Op pack_rows(const RequestDecision& row, int layer, Tokens first, const SelectedRows& rows) const;
  Op send_scores(const RequestDecision& row, int layer, const SelectedRows& rows) const;
  Op send_keys(const RequestDecision& row, int layer, const SelectedRows& rows) const;
  Op send_rows(const RequestDecision& row, int layer, const SelectedRows& rows) const;
  Op device_logits(const RequestDecision& row, int layer, Tokens tokens) const;
  Op fit_logits(const RequestDecision& row, int layer, Tokens tokens) const;
  Op correct_scores(const RequestDecision& row, int layer, const SelectedRows& rows) const;
  Op row_logits(const RequestDecision& row, int layer, const SelectedRows& rows) const;
  Op joint_attend(const RequestDecision& row, int layer, Tokens device_tokens,
                  const SelectedRows& rows) const;
  Op host_attend(const RequestDecision& row, int layer, Tokens tokens) const;
  Op send_partial(const RequestDecision& row, int layer) const;
  Op device_partial(const RequestDecision& row, int layer, Tokens tokens) const;
  Op join_partials(const RequestDecision& row, int layer) const;
  // Pages of the plan's page_tokens. The bounds of the pages that the row's new tokens lie in.
  Op page_bounds(const RequestDecision& row, int layer) const;
  // Among the pages before the new token's, so many per query head.
  Op select_pages(const RequestDecision& row, int layer, std::int64_t chosen) const;
  // The chosen pages and the new token's own.
  Op attend_pages(const RequestDecision& row, int layer, std::int64_t chosen) const;
  // Kept rows: what the prompt's queries from `first_query` on look at, the rows of the prompt that stay, the
  // slot of the new token's row, and attention over all rows of the segment.
  Op score_prompt(const RequestDecision& row, int layer, int buffer, Tokens first_query) const;
  Op keep_rows(const RequestDecision& row, int layer, int buffer, const KeptBy& by) const;
  Op evict_row(const RequestDecision& row, int layer, const KeptBy& by) const;
  Op attend_kept(const RequestDecision& row, int layer, const KeptBy& by) const;
  // Of the plan's partial columns; staging and exchange buffers alternate alike. The new tokens' rows; the
  // choice among the pool's row.scan_tokens slots; and what comes of it.
  Op partial_keys(const RequestDecision& row, int layer) const;
  Op partial_select(const RequestDecision& row, int layer, std::int64_t alpha_milli) const;
  Op send_choice(const RequestDecision& row, int layer, const SelectedRows& rows) const;
  Op pool_row(const RequestDecision& row, int layer) const;
  Op attend_fetched(const RequestDecision& row, int layer, const SelectedRows& rows) const;

 private:
  // A row of K or V and a page's bounds of all KV heads, a row of one head, and a packed row's logits.
  Bytes kv_row_bytes() const { return hybridgen::kv_row_bytes(model_, plan_.kv_dtype); }
  Bytes page_bounds_bytes() const { return bounds_bytes(model_, plan_.kv_dtype); }
  Bytes head_row_bytes() const { return hybridgen::head_row_bytes(model_, plan_.kv_dtype); }
  Bytes row_logits_bytes() const { return plan_.exchange_group * kLogitBytes; }
  Op device_op(OpKind kind, int layer, Bytes weight_bytes, std::int64_t flops) const;
  Op request_op(OpKind kind, Role role, const RequestDecision& row, int layer) const;
  Op kept_op(OpKind kind, const RequestDecision& row, int layer, const KeptBy& by) const;
  Op partial_op(OpKind kind, Role role, const RequestDecision& row, int layer) const;
  void device_access(Op& op, Direction direction, Bytes bytes) const;
  // One that works in the exchange buffers of its layer.
  Op exchange_op(OpKind kind, Role role, const RequestDecision& row, int layer) const;
  Op gather_op(OpKind kind, TierId from, const RequestDecision& row, int layer, Tokens first,
               const SelectedRows& rows) const;

  const ModelShape& model_;
  const MemoryPlan& plan_;
};

}  // namespace hybridgen
