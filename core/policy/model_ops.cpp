#include "core/policy/model_ops.hpp"

namespace hybridgen {
namespace {

std::int64_t query_tokens(const Decision& decision) {
  std::int64_t sum = 0;
  for (const RequestDecision& row : decision.rows) sum += row.query_tokens;
  return sum;
}

Amount scaled(const Amount& rows, std::int64_t factor) {
  return {rows.base * factor, rows.per_count * factor, rows.outcome};
}

// Keys that `query_tokens` causal queries see, the last of which sees `tokens`.
std::int64_t causal_pairs(std::int64_t queries, std::int64_t tokens) {
  return queries * (tokens - queries) + queries * (queries + 1) / 2;
}

}  // namespace

Op ModelOps::device_op(OpKind kind, int layer, Bytes weight_bytes, std::int64_t flops) const {
  Op op;
  op.kind = kind;
  op.role = Role::device;
  op.layer = layer;
  op.traffic.flops = Amount::fixed(flops);
  if (weight_bytes > 0) {
    op.traffic.accesses.push_back({plan_.device_tier, Direction::read, Amount::fixed(weight_bytes)});
  }
  return op;
}

Op ModelOps::request_op(OpKind kind, Role role, const RequestDecision& row, int layer) const {
  Op op;
  op.kind = kind;
  op.role = role;
  op.layer = layer;
  op.request = row.request;
  op.slot = row.slot;
  return op;
}

Op ModelOps::embed(const Decision& decision) const {
  return device_op(OpKind::embed, -1, query_tokens(decision) * model_.embed_bytes(), 0);
}

Op ModelOps::norm_qkv(const Decision& decision, int layer, const KvTarget& target) const {
  const std::int64_t tokens = query_tokens(decision);
  Op op = device_op(OpKind::norm_qkv, layer, model_.qkv_bytes(), 2 * tokens * model_.qkv_weights());
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::write, Amount::fixed(2 * tokens * row_bytes())});
  op.work.kv = target.place;
  op.work.buffer = target.buffer;
  return op;
}

Op ModelOps::project_out(const Decision& decision, int layer) const {
  return device_op(OpKind::project_out, layer, model_.out_bytes(),
                   2 * query_tokens(decision) * model_.out_weights());
}

Op ModelOps::ffn(const Decision& decision, int layer) const {
  return device_op(OpKind::ffn, layer, model_.ffn_bytes(), 2 * query_tokens(decision) * model_.ffn_weights());
}

Op ModelOps::lm_head(const Decision& decision) const {
  return device_op(OpKind::lm_head, -1, model_.head_bytes(),
                   2 * static_cast<std::int64_t>(decision.rows.size()) * model_.head_weights());
}

Op ModelOps::sample(const RequestDecision& row) const {
  Op op = device_op(OpKind::sample, -1, 0, 0);
  op.request = row.request;
  op.slot = row.slot;
  op.traffic.items = Amount::fixed(model_.vocab);
  return op;
}

Op ModelOps::attend(const RequestDecision& row, int layer, KvPlace place, int buffer, Tokens tokens) const {
  const OpKind kind = row.query_tokens > 1 ? OpKind::prefill_attend : OpKind::attend;
  Op op = request_op(kind, Role::device, row, layer);
  op.work.kv = place;
  op.work.buffer = buffer;
  op.work.tokens = tokens;
  op.traffic.flops = Amount::fixed(4 * model_.q_width() * causal_pairs(row.query_tokens, tokens));
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::read, Amount::fixed(2 * tokens * row_bytes())});
  return op;
}

Op ModelOps::load_kv(const RequestDecision& row, int layer, int buffer, Tokens tokens) const {
  Op op = request_op(OpKind::load_kv, Role::h2d, row, layer);
  op.work.kv = KvPlace::staging;
  op.work.buffer = buffer;
  op.work.tokens = tokens;
  op.traffic.copies.push_back({plan_.host_k(layer), plan_.device_tier, Amount::fixed(tokens * row_bytes())});
  op.traffic.copies.push_back({plan_.host_v(layer), plan_.device_tier, Amount::fixed(tokens * row_bytes())});
  return op;
}

Op ModelOps::offload_kv(const RequestDecision& row, int layer, KvPlace place, int buffer, Tokens first,
                        Tokens tokens) const {
  Op op = request_op(OpKind::offload_kv, Role::d2h, row, layer);
  op.work.kv = place;
  op.work.buffer = buffer;
  op.work.first_token = first;
  op.work.tokens = tokens;
  op.traffic.copies.push_back({plan_.device_tier, plan_.host_k(layer), Amount::fixed(tokens * row_bytes())});
  op.traffic.copies.push_back({plan_.device_tier, plan_.host_v(layer), Amount::fixed(tokens * row_bytes())});
  return op;
}

Op ModelOps::keep_kv(const RequestDecision& row, int layer, int buffer, Tokens first, Tokens tokens) const {
  Op op = request_op(OpKind::keep_kv, Role::device, row, layer);
  op.work.kv = KvPlace::staging;
  op.work.buffer = buffer;
  op.work.first_token = first;
  op.work.tokens = tokens;
  const Amount bytes = Amount::fixed(2 * tokens * row_bytes());
  op.traffic.accesses.push_back({plan_.device_tier, Direction::read, bytes});
  op.traffic.accesses.push_back({plan_.device_tier, Direction::write, bytes});
  return op;
}

Op ModelOps::send_query(const RequestDecision& row, int layer) const {
  Op op = request_op(OpKind::send_query, Role::d2h, row, layer);
  op.traffic.copies.push_back(
      {plan_.device_tier, plan_.exchange_tier, Amount::fixed(model_.q_width() * kQueryBytes)});
  return op;
}

Op ModelOps::host_logits(const RequestDecision& row, int layer, Tokens first, Tokens tokens) const {
  Op op = request_op(OpKind::host_logits, Role::host, row, layer);
  op.work.first_token = first;
  op.work.tokens = tokens;
  op.traffic.flops = Amount::fixed(2 * model_.q_width() * tokens);
  op.traffic.accesses.push_back({plan_.host_k(layer), Direction::read, Amount::fixed(tokens * row_bytes())});
  return op;
}

Op ModelOps::select(const RequestDecision& row, int layer, Tokens tokens, SelectRule rule,
                    std::int64_t alpha_milli) const {
  Op op = request_op(OpKind::select, Role::host, row, layer);
  op.work.tokens = tokens;
  op.work.rule = rule;
  op.work.rows_per_head = row.rows_per_head;
  op.work.alpha_milli = alpha_milli;
  op.traffic.items = Amount::fixed(model_.query_heads * tokens);
  return op;
}

Op ModelOps::pack_rows(const RequestDecision& row, int layer, Tokens first, const SelectedRows& rows) const {
  Op op = request_op(OpKind::pack_rows, Role::host, row, layer);
  op.work.first_token = first;
  op.work.rows_per_head = rows.per_head;
  const Amount bytes = scaled(rows.total, head_row_bytes());
  op.traffic.accesses.push_back({plan_.host_v(layer), Direction::read, bytes, head_row_bytes()});
  op.traffic.accesses.push_back({plan_.exchange_tier, Direction::write, bytes});
  return op;
}

Op ModelOps::send_scores(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = request_op(OpKind::send_scores, Role::h2d, row, layer);
  op.work.rows_per_head = rows.per_head;
  op.traffic.copies.push_back(
      {plan_.exchange_tier, plan_.device_tier, scaled(rows.total, row_logits_bytes())});
  return op;
}

Op ModelOps::send_rows(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = request_op(OpKind::send_rows, Role::h2d, row, layer);
  op.work.rows_per_head = rows.per_head;
  op.traffic.copies.push_back({plan_.exchange_tier, plan_.device_tier, scaled(rows.total, head_row_bytes())});
  return op;
}

Op ModelOps::device_logits(const RequestDecision& row, int layer, Tokens tokens) const {
  Op op = request_op(OpKind::device_logits, Role::device, row, layer);
  op.work.kv = KvPlace::segment;
  op.work.tokens = tokens;
  op.traffic.flops = Amount::fixed(2 * model_.q_width() * tokens);
  op.traffic.accesses.push_back({plan_.device_tier, Direction::read, Amount::fixed(tokens * row_bytes())});
  return op;
}

Op ModelOps::joint_attend(const RequestDecision& row, int layer, Tokens device_tokens,
                          const SelectedRows& rows) const {
  Op op = request_op(OpKind::joint_attend, Role::device, row, layer);
  op.work.kv = KvPlace::segment;
  op.work.tokens = device_tokens;
  op.work.rows_per_head = rows.per_head;
  op.traffic.flops = Amount::fixed(2 * model_.q_width() * device_tokens);
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::read, Amount::fixed(device_tokens * row_bytes())});
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::read, scaled(rows.total, head_row_bytes() + row_logits_bytes())});
  return op;
}

Op ModelOps::host_attend(const RequestDecision& row, int layer, Tokens tokens) const {
  Op op = request_op(OpKind::host_attend, Role::host, row, layer);
  op.work.tokens = tokens;
  op.traffic.flops = Amount::fixed(4 * model_.q_width() * tokens);
  for (const TierId tier : {plan_.host_k(layer), plan_.host_v(layer)}) {
    op.traffic.accesses.push_back({tier, Direction::read, Amount::fixed(tokens * row_bytes())});
  }
  return op;
}

Op ModelOps::send_partial(const RequestDecision& row, int layer) const {
  Op op = request_op(OpKind::send_partial, Role::h2d, row, layer);
  op.traffic.copies.push_back({plan_.exchange_tier, plan_.device_tier, Amount::fixed(partial_bytes(model_))});
  return op;
}

Op ModelOps::device_partial(const RequestDecision& row, int layer, Tokens tokens) const {
  Op op = attend(row, layer, KvPlace::segment, 0, tokens);
  op.kind = OpKind::device_partial;
  return op;
}

// The device's own partial stays in cache, as hidden states do; the host's was copied and is read.
Op ModelOps::join_partials(const RequestDecision& row, int layer) const {
  Op op = request_op(OpKind::join_partials, Role::device, row, layer);
  op.traffic.accesses.push_back({plan_.device_tier, Direction::read, Amount::fixed(partial_bytes(model_))});
  return op;
}

}  // namespace hybridgen
