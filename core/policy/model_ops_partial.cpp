// The ops of partial keys: a few columns of K on the device choose the rows that come up.
#include "core/policy/model_ops.hpp"

namespace hybridgen {

// One that works on the new tokens' rows in the layer's staging buffer.
Op ModelOps::partial_op(OpKind kind, Role role, const RequestDecision& row, int layer) const {
  Op op = exchange_op(kind, role, row, layer);
  op.work.kv = KvPlace::staging;
  op.work.first_token = row.first_position;
  op.work.tokens = row.query_tokens;
  return op;
}

// A prompt skews its queries whole to choose among the columns.
Op ModelOps::partial_keys(const RequestDecision& row, int layer) const {
  Op op = partial_op(OpKind::partial_keys, Role::device, row, layer);
  const int read = row.prefill() ? model_.head_dim : plan_.partial.columns;
  const std::int64_t products =
      model_.kv_width() * plan_.partial.columns + (row.prefill() ? model_.q_width() * model_.head_dim : 0);
  op.traffic.flops = Amount::fixed(2 * row.query_tokens * products);
  device_access(op, Direction::read, row.query_tokens * kv_row_bytes() + skew_bytes(model_, read));
  device_access(op, Direction::write, row.query_tokens * partial_row_bytes(model_, plan_));
  return op;
}

// Every score is looked at twice: counted, then chosen.
Op ModelOps::partial_select(const RequestDecision& row, int layer, std::int64_t alpha_milli) const {
  Op op = exchange_op(OpKind::partial_select, Role::device, row, layer);
  op.work.rule = SelectRule::mean_threshold;
  op.work.first_token = row.first_position;  // whose token reads the rows
  op.work.tokens = row.scan_tokens;
  op.work.rows_per_head = row.rows_per_head;
  op.work.alpha_milli = alpha_milli;
  const std::int64_t scores = model_.query_heads * row.scan_tokens;
  op.traffic.flops = Amount::fixed(2 * scores * partial_width(plan_.partial.columns));
  op.traffic.items = Amount::fixed(2 * scores);
  device_access(
      op, Direction::read,
      row.scan_tokens * partial_row_bytes(model_, plan_) + skew_bytes(model_, plan_.partial.columns));
  return op;
}

Op ModelOps::send_choice(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = exchange_op(OpKind::send_choice, Role::d2h, row, layer);
  op.work.rows_per_head = rows.per_head;
  op.traffic.copies.push_back({plan_.device_tier, plan_.exchange_tier, scaled(rows.total, kIndexBytes)});
  return op;
}

// With each KV head's K goes the number of the slot that its rows take.
Op ModelOps::pool_row(const RequestDecision& row, int layer) const {
  Op op = partial_op(OpKind::pool_row, Role::d2h, row, layer);
  op.traffic.copies.push_back({plan_.device_tier, plan_.host_k(layer),
                               Amount::fixed(kv_row_bytes() + model_.kv_heads * kIndexBytes)});
  op.traffic.copies.push_back({plan_.device_tier, plan_.host_v(layer), Amount::fixed(kv_row_bytes())});
  return op;
}

// The new token's rows are read once per query head, as the fetched ones are.
Op ModelOps::attend_fetched(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = partial_op(OpKind::attend_fetched, Role::device, row, layer);
  op.work.rows_per_head = rows.per_head;
  const Amount all = {rows.total.base + model_.query_heads, rows.total.per_count, rows.total.outcome};
  op.traffic.flops = scaled(all, 4LL * model_.head_dim);
  op.traffic.accesses.push_back({plan_.device_tier, Direction::read, scaled(all, 2 * head_row_bytes())});
  return op;
}

}  // namespace hybridgen
