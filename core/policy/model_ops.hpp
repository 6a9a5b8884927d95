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

 private:
  Bytes row_bytes() const { return model_.kv_row_bytes(bytes_of(plan_.kv_dtype)); }    // K or V, all KV heads
  Bytes head_row_bytes() const { return model_.head_dim * bytes_of(plan_.kv_dtype); }  // one head
  Op device_op(OpKind kind, int layer, Bytes weight_bytes, std::int64_t flops) const;
  Op request_op(OpKind kind, Role role, const RequestDecision& row, int layer) const;
  // One that works in the exchange buffers of its layer.
  Op exchange_op(OpKind kind, Role role, const RequestDecision& row, int layer) const;
  Op gather_op(OpKind kind, TierId from, const RequestDecision& row, int layer, Tokens first,
               const SelectedRows& rows) const;

  const ModelShape& model_;
  const MemoryPlan& plan_;
};

}  // namespace hybridgen
