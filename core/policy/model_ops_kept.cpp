// The ops of what the device keeps to choose by: pages with their bounds, and rows with their mass.
#include "core/policy/model_ops.hpp"

namespace hybridgen {

// The bounds of a page that was begun by earlier tokens are read before they are written.
Op ModelOps::page_bounds(const RequestDecision& row, int layer) const {
  Op op = request_op(OpKind::page_bounds, Role::device, row, layer);
  const Tokens end = row.first_position + row.query_tokens;
  const Tokens begun = row.first_position % plan_.page_tokens == 0 ? 0 : 1;
  const Tokens pages = (end - 1) / plan_.page_tokens - row.first_position / plan_.page_tokens + 1;
  op.work.kv = KvPlace::segment;
  op.work.first_token = row.first_position;
  op.work.tokens = row.query_tokens;
  op.traffic.flops = Amount::fixed(2 * model_.kv_heads * model_.head_dim * row.query_tokens);
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::read,
       Amount::fixed(row.query_tokens * kv_row_bytes() + begun * page_bounds_bytes())});
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::write, Amount::fixed(pages * page_bounds_bytes())});
  return op;
}

Op ModelOps::select_pages(const RequestDecision& row, int layer, std::int64_t chosen) const {
  Op op = request_op(OpKind::select_pages, Role::device, row, layer);
  const std::int64_t pages = row.first_position / plan_.page_tokens;
  op.work.rule = SelectRule::page_bound;
  op.work.tokens = pages * plan_.page_tokens;
  op.work.rows_per_head = chosen * plan_.page_tokens;
  op.traffic.flops = Amount::fixed(4 * model_.q_width() * pages);
  op.traffic.items = Amount::fixed(model_.query_heads * pages);
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::read, Amount::fixed(pages * page_bounds_bytes())});
  return op;
}

// Every query head reads pages of its own, also where another of its group reads the same.
Op ModelOps::attend_pages(const RequestDecision& row, int layer, std::int64_t chosen) const {
  Op op = request_op(OpKind::attend_pages, Role::device, row, layer);
  op.work.kv = KvPlace::segment;
  op.work.first_token = row.first_position / plan_.page_tokens * plan_.page_tokens;
  op.work.tokens = row.first_position + 1 - op.work.first_token;
  op.work.rows_per_head = chosen * plan_.page_tokens;
  const std::int64_t rows = op.work.rows_per_head + op.work.tokens;
  op.traffic.flops = Amount::fixed(4 * model_.q_width() * rows);
  op.traffic.accesses.push_back({plan_.device_tier, Direction::read,
                                 Amount::fixed(2 * model_.query_heads * rows * head_row_bytes()),
                                 plan_.page_tokens * head_row_bytes()});
  return op;
}

void ModelOps::device_access(Op& op, Direction direction, Bytes bytes) const {
  op.traffic.accesses.push_back({plan_.device_tier, direction, Amount::fixed(bytes)});
}

Op ModelOps::kept_op(OpKind kind, const RequestDecision& row, int layer, const KeptBy& by) const {
  Op op = request_op(kind, Role::device, row, layer);
  op.work.kv = KvPlace::kept;
  op.work.tokens = row.device_tokens;
  op.work.rule = by.rule;
  op.work.keep = by.keep;
  return op;
}

Op ModelOps::score_prompt(const RequestDecision& row, int layer, int buffer, Tokens first_query) const {
  Op op = request_op(OpKind::score_prompt, Role::device, row, layer);
  const Tokens tokens = row.query_tokens;
  op.work.kv = KvPlace::staging;
  op.work.buffer = buffer;
  op.work.first_token = first_query;
  op.work.tokens = tokens;
  // Twice q.K: the softmax's sums come before the weights.
  op.traffic.flops = Amount::fixed(4 * model_.q_width() * causal_pairs(tokens - first_query, tokens));
  device_access(op, Direction::read, tokens * kv_row_bytes());
  device_access(op, Direction::write, tokens * model_.kv_heads * kMassBytes);
  return op;
}

Op ModelOps::keep_rows(const RequestDecision& row, int layer, int buffer, const KeptBy& by) const {
  Op op = kept_op(OpKind::keep_rows, row, layer, by);
  op.work.kv = KvPlace::staging;
  op.work.buffer = buffer;
  op.work.tokens = row.query_tokens;
  op.work.rows_per_head = row.device_tokens;
  const std::int64_t scored = by.scores() ? row.query_tokens * model_.kv_heads : 0;
  const Bytes known_by = kPositionBytes + (by.scores() ? kMassBytes : 0);
  op.traffic.items = Amount::fixed(scored);
  device_access(op, Direction::read, scored * kMassBytes + 2 * row.device_tokens * kv_row_bytes());
  device_access(op, Direction::write, row.device_tokens * (2 * kv_row_bytes() + model_.kv_heads * known_by));
  return op;
}

Op ModelOps::evict_row(const RequestDecision& row, int layer, const KeptBy& by) const {
  Op op = kept_op(OpKind::evict_row, row, layer, by);
  op.work.evict = row.drop_tokens > 0;
  const std::int64_t asked = op.work.evict ? row.device_tokens * model_.kv_heads : 0;
  const Bytes known_by = kPositionBytes + (by.scores() ? kMassBytes : 0);
  op.traffic.items = Amount::fixed(asked);
  device_access(op, Direction::read, asked * known_by);
  device_access(op, Direction::write, model_.kv_heads * known_by);
  return op;
}

Op ModelOps::attend_kept(const RequestDecision& row, int layer, const KeptBy& by) const {
  Op op = kept_op(OpKind::attend_kept, row, layer, by);
  const Bytes mass =
      by.rule == SelectRule::heavy_hitter ? row.device_tokens * model_.kv_heads * kMassBytes : 0;
  op.traffic.flops = Amount::fixed(4 * model_.q_width() * row.device_tokens);
  device_access(op, Direction::read, 2 * row.device_tokens * kv_row_bytes() + mass);
  device_access(op, Direction::write, mass);
  return op;
}

}  // namespace hybridgen
