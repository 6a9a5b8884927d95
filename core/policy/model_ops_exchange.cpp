// The ops of what host and device exchange within one attention: queries down, logits and rows up.
#include "core/policy/model_ops.hpp"

namespace hybridgen {

Op ModelOps::exchange_op(OpKind kind, Role role, const RequestDecision& row, int layer) const {
  Op op = request_op(kind, role, row, layer);
  op.work.buffer = layer % plan_.exchange_buffers();
  return op;
}

// Rows at random from one tier into an exchange buffer.
Op ModelOps::gather_op(OpKind kind, TierId from, const RequestDecision& row, int layer, Tokens first,
                       const SelectedRows& rows) const {
  Op op = exchange_op(kind, Role::host, row, layer);
  op.work.first_token = first;
  op.work.rows_per_head = rows.per_head;
  const Amount bytes = scaled(rows.total, head_row_bytes());
  op.traffic.accesses.push_back({from, Direction::read, bytes, head_row_bytes()});
  op.traffic.accesses.push_back({plan_.exchange_tier, Direction::write, bytes});
  return op;
}

Op ModelOps::send_query(const RequestDecision& row, int layer, bool predicted) const {
  Op op = exchange_op(OpKind::send_query, Role::d2h, row, layer);
  op.work.predicted = predicted;
  op.traffic.copies.push_back(
      {plan_.device_tier, plan_.exchange_tier, Amount::fixed(model_.q_width() * kQueryBytes)});
  return op;
}

Op ModelOps::host_logits(const RequestDecision& row, int layer, Tokens first, Tokens tokens) const {
  Op op = exchange_op(OpKind::host_logits, Role::host, row, layer);
  op.work.first_token = first;
  op.work.tokens = tokens;
  op.traffic.flops = Amount::fixed(2 * model_.q_width() * tokens);
  op.traffic.accesses.push_back(
      {plan_.host_k(layer), Direction::read, Amount::fixed(tokens * kv_row_bytes())});
  return op;
}

Op ModelOps::select(const RequestDecision& row, int layer, Tokens tokens, SelectRule rule,
                    std::int64_t alpha_milli) const {
  Op op = exchange_op(OpKind::select, Role::host, row, layer);
  op.work.tokens = tokens;
  op.work.rule = rule;
  op.work.rows_per_head = row.rows_per_head;
  op.work.alpha_milli = alpha_milli;
  op.traffic.items = Amount::fixed(model_.query_heads * tokens);
  return op;
}

Op ModelOps::pack_keys(const RequestDecision& row, int layer, Tokens first, const SelectedRows& rows) const {
  return gather_op(OpKind::pack_keys, plan_.host_k(layer), row, layer, first, rows);
}

Op ModelOps::pack_rows(const RequestDecision& row, int layer, Tokens first, const SelectedRows& rows) const {
  return gather_op(OpKind::pack_rows, plan_.host_v(layer), row, layer, first, rows);
}

Op ModelOps::send_scores(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = exchange_op(OpKind::send_scores, Role::h2d, row, layer);
  op.work.rows_per_head = rows.per_head;
  op.traffic.copies.push_back(
      {plan_.exchange_tier, plan_.device_tier, scaled(rows.total, row_logits_bytes())});
  return op;
}

Op ModelOps::send_rows(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = exchange_op(OpKind::send_rows, Role::h2d, row, layer);
  op.work.rows_per_head = rows.per_head;
  op.traffic.copies.push_back({plan_.exchange_tier, plan_.device_tier, scaled(rows.total, head_row_bytes())});
  return op;
}

Op ModelOps::send_keys(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = send_rows(row, layer, rows);
  op.kind = OpKind::send_keys;
  return op;
}

Op ModelOps::device_logits(const RequestDecision& row, int layer, Tokens tokens) const {
  Op op = request_op(OpKind::device_logits, Role::device, row, layer);
  op.work.kv = KvPlace::segment;
  op.work.tokens = tokens;
  op.traffic.flops = Amount::fixed(2 * model_.q_width() * tokens);
  op.traffic.accesses.push_back({plan_.device_tier, Direction::read, Amount::fixed(tokens * kv_row_bytes())});
  return op;
}

// K is read once for both queries.
Op ModelOps::fit_logits(const RequestDecision& row, int layer, Tokens tokens) const {
  Op op = device_logits(row, layer, tokens);
  op.kind = OpKind::fit_logits;
  op.work.buffer = layer % plan_.exchange_buffers();
  op.traffic.flops = Amount::fixed(2 * op.traffic.flops.base);
  return op;
}

Op ModelOps::correct_scores(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = exchange_op(OpKind::correct_scores, Role::device, row, layer);
  op.work.rows_per_head = rows.per_head;
  for (const Direction direction : {Direction::read, Direction::write}) {
    op.traffic.accesses.push_back({plan_.device_tier, direction, scaled(rows.total, row_logits_bytes())});
  }
  return op;
}

Op ModelOps::row_logits(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = exchange_op(OpKind::row_logits, Role::device, row, layer);
  op.work.rows_per_head = rows.per_head;
  op.traffic.flops = scaled(rows.total, 2 * plan_.exchange_group * model_.head_dim);
  op.traffic.accesses.push_back({plan_.device_tier, Direction::read, scaled(rows.total, head_row_bytes())});
  return op;
}

Op ModelOps::joint_attend(const RequestDecision& row, int layer, Tokens device_tokens,
                          const SelectedRows& rows) const {
  Op op = exchange_op(OpKind::joint_attend, Role::device, row, layer);
  op.work.kv = KvPlace::segment;
  op.work.tokens = device_tokens;
  op.work.rows_per_head = rows.per_head;
  op.traffic.flops = Amount::fixed(2 * model_.q_width() * device_tokens);
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::read, Amount::fixed(device_tokens * kv_row_bytes())});
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::read, scaled(rows.total, head_row_bytes() + row_logits_bytes())});
  return op;
}

}  // namespace hybridgen
