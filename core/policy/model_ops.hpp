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

// A partial attention of one query token: fp32 output and log-sum-exp of every query head.
inline Bytes partial_bytes(const ModelShape& model) {
  return model.q_width() * kQueryBytes + model.query_heads * kLogitBytes;
}

// Channels of a partial K row: the columns, filled up to what kernels take.
inline int partial_width(int columns) {
  return (columns + 15) / 16 * 16;
}
// A token's partial K in a layer, all KV heads.
inline Bytes partial_row_bytes(const ModelShape& model, const MemoryPlan& plan) {
  return model.kv_heads * partial_width(plan.partial.columns) * bytes_of(plan.kv_dtype);
}
// So many columns of the skew in a layer, fp32, all KV heads.
inline Bytes skew_bytes(const ModelShape& model, int columns) {
  return static_cast<Bytes>(model.kv_heads) * model.head_dim * columns * 4;
}

// Where norm_qkv writes, and the ops it must wait for.
struct KvTarget {
  KvPlace place = KvPlace::segment;
  int buffer = 0;
  std::vector<OpId> wait_for;
};

// Host rows that go up for one request in one layer, summed over query heads: known, or an outcome.
struct SelectedRows {
  Amount total;
  std::int64_t per_head = 0;  // exact or bound
};

class ModelOps {
 public:
  ModelOps(const ModelShape& model, const MemoryPlan& plan) : model_(model), plan_(plan) {}

  const ModelShape& model() const { return model_; }

  // Over all rows of the batch.
  Op embed(const Decision& decision) const;
  Op norm_qkv(const Decision& decision, int layer, const KvTarget& target) const;
  Op project_out(const Decision& decision, int layer) const;
  Op ffn(const Decision& decision, int layer) const;
  Op lm_head(const Decision& decision) const;

  // One request.
  Op sample(const RequestDecision& row) const;

  // One request, one layer.
  // Full attention of the row's query tokens over `tokens` tokens that lie in `place`.
  Op attend(const RequestDecision& row, int layer, KvPlace place, int buffer, Tokens tokens) const;
  Op load_kv(const RequestDecision& row, int layer, int buffer, Tokens tokens) const;
  Op offload_kv(const RequestDecision& row, int layer, KvPlace place, int buffer, Tokens first,
                Tokens tokens) const;
  Op keep_kv(const RequestDecision& row, int layer, int buffer, Tokens first, Tokens tokens) const;
  Op send_query(const RequestDecision& row, int layer) const;
  // Over `tokens` host tokens from `first` on; select and pack_rows count from there.
  Op host_logits(const RequestDecision& row, int layer, Tokens first, Tokens tokens) const;
  Op select(const RequestDecision& row, int layer, Tokens tokens, SelectRule rule,
            std::int64_t alpha_milli) const;
  Op pack_rows(const RequestDecision& row, int layer, Tokens first, const SelectedRows& rows) const;
  Op send_scores(const RequestDecision& row, int layer, const SelectedRows& rows) const;
  Op send_rows(const RequestDecision& row, int layer, const SelectedRows& rows) const;
  Op device_logits(const RequestDecision& row, int layer, Tokens tokens) const;
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
  // Of the plan's partial columns. This layer's queries from the input of the layer before it.
  Op predict_query(const Decision& decision, int layer) const;
  Op partial_keys(const RequestDecision& row, int layer, int buffer) const;
  // Among the row's scan_tokens slots of the pool.
  Op partial_select(const RequestDecision& row, int layer, std::int64_t alpha_milli) const;
  Op send_choice(const RequestDecision& row, int layer, const SelectedRows& rows) const;
  Op pool_row(const RequestDecision& row, int layer, int buffer) const;
  Op gather_kv(const RequestDecision& row, int layer, const SelectedRows& rows) const;
  Op send_kv(const RequestDecision& row, int layer, const SelectedRows& rows) const;
  Op attend_fetched(const RequestDecision& row, int layer, int buffer, const SelectedRows& rows) const;

 private:
  static constexpr Bytes kIndexBytes = 4;  // of a chosen row

  Bytes row_bytes() const { return model_.kv_row_bytes(bytes_of(plan_.kv_dtype)); }    // K or V, all KV heads
  Bytes head_row_bytes() const { return model_.head_dim * bytes_of(plan_.kv_dtype); }  // one head
  Op device_op(OpKind kind, int layer, Bytes weight_bytes, std::int64_t flops) const;
  Op request_op(OpKind kind, Role role, const RequestDecision& row, int layer) const;

  const ModelShape& model_;
  const MemoryPlan& plan_;
};

}  // namespace hybridgen
