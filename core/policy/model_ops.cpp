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
  op.traffic.copies.push_back({plan_.host_k_tier, plan_.device_tier, Amount::fixed(tokens * row_bytes())});
  op.traffic.copies.push_back({plan_.host_v_tier, plan_.device_tier, Amount::fixed(tokens * row_bytes())});
  return op;
}

Op ModelOps::offload_kv(const RequestDecision& row, int layer, KvPlace place, int buffer, Tokens first,
                        Tokens tokens) const {
  Op op = request_op(OpKind::offload_kv, Role::d2h, row, layer);
  op.work.kv = place;
  op.work.buffer = buffer;
  op.work.first_token = first;
  op.work.tokens = tokens;
  op.traffic.copies.push_back({plan_.device_tier, plan_.host_k_tier, Amount::fixed(tokens * row_bytes())});
  op.traffic.copies.push_back({plan_.device_tier, plan_.host_v_tier, Amount::fixed(tokens * row_bytes())});
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
      {plan_.device_tier, plan_.host_k_tier, Amount::fixed(model_.q_width() * kQueryBytes)});
  return op;
}

Op ModelOps::host_logits(const RequestDecision& row, int layer, Tokens first, Tokens tokens) const {
  Op op = request_op(OpKind::host_logits, Role::host, row, layer);
  op.work.first_token = first;
  op.work.tokens = tokens;
  op.traffic.flops = Amount::fixed(2 * model_.q_width() * tokens);
  op.traffic.accesses.push_back({plan_.host_k_tier, Direction::read, Amount::fixed(tokens * row_bytes())});
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
  op.traffic.accesses.push_back({plan_.host_v_tier, Direction::read, bytes, head_row_bytes()});
  op.traffic.accesses.push_back({plan_.host_k_tier, Direction::write, bytes});
  return op;
}

Op ModelOps::send_scores(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = request_op(OpKind::send_scores, Role::h2d, row, layer);
  op.work.rows_per_head = rows.per_head;
  op.traffic.copies.push_back({plan_.host_k_tier, plan_.device_tier, scaled(rows.total, kLogitBytes)});
  return op;
}

Op ModelOps::send_rows(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = request_op(OpKind::send_rows, Role::h2d, row, layer);
  op.work.rows_per_head = rows.per_head;
  op.traffic.copies.push_back({plan_.host_k_tier, plan_.device_tier, scaled(rows.total, head_row_bytes())});
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
      {plan_.device_tier, Direction::read, scaled(rows.total, head_row_bytes() + kLogitBytes)});
  return op;
}

Op ModelOps::host_attend(const RequestDecision& row, int layer, Tokens tokens) const {
  Op op = request_op(OpKind::host_attend, Role::host, row, layer);
  op.work.tokens = tokens;
  op.traffic.flops = Amount::fixed(4 * model_.q_width() * tokens);
  for (const TierId tier : {plan_.host_k_tier, plan_.host_v_tier}) {
    op.traffic.accesses.push_back({tier, Direction::read, Amount::fixed(tokens * row_bytes())});
  }
  return op;
}

Op ModelOps::send_partial(const RequestDecision& row, int layer) const {
  Op op = request_op(OpKind::send_partial, Role::h2d, row, layer);
  op.traffic.copies.push_back({plan_.host_k_tier, plan_.device_tier, Amount::fixed(partial_bytes(model_))});
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

// A page that was begun by earlier tokens is read before it is written; of two rows each, the bounds.
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
      {plan_.device_tier, Direction::read, Amount::fixed((row.query_tokens + 2 * begun) * row_bytes())});
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::write, Amount::fixed(2 * pages * row_bytes())});
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
  op.traffic.accesses.push_back({plan_.device_tier, Direction::read, Amount::fixed(2 * pages * row_bytes())});
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

Op ModelOps::predict_query(const Decision& decision, int layer) const {
  const std::int64_t weights = static_cast<std::int64_t>(model_.hidden) * model_.q_width();
  const Bytes bias = model_.blocks.qkv_bias ? 4 * model_.q_width() : 0;
  return device_op(OpKind::predict_query, layer, 2 * weights + bias, 2 * query_tokens(decision) * weights);
}

// A prompt reads the whole skew to choose among its columns.
Op ModelOps::partial_keys(const RequestDecision& row, int layer, int buffer) const {
  Op op = request_op(OpKind::partial_keys, Role::device, row, layer);
  const int columns = row.prefill() ? model_.head_dim : plan_.partial.columns;
  op.work.kv = KvPlace::staging;
  op.work.buffer = buffer;
  op.work.first_token = row.first_position;
  op.work.tokens = row.query_tokens;
  const std::int64_t dot = 2LL * model_.head_dim * row.query_tokens;
  op.traffic.flops =
      Amount::fixed(dot * (model_.kv_heads * plan_.partial.columns + (row.prefill() ? model_.q_width() : 0)));
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::read,
       Amount::fixed(row.query_tokens * row_bytes() + skew_bytes(model_, columns))});
  op.traffic.accesses.push_back({plan_.device_tier, Direction::write,
                                 Amount::fixed(row.query_tokens * partial_row_bytes(model_, plan_))});
  return op;
}

Op ModelOps::partial_select(const RequestDecision& row, int layer, std::int64_t alpha_milli) const {
  Op op = request_op(OpKind::partial_select, Role::device, row, layer);
  op.work.rule = SelectRule::mean_threshold;
  op.work.tokens = row.scan_tokens;
  op.work.rows_per_head = row.rows_per_head;
  op.work.alpha_milli = alpha_milli;
  op.traffic.flops =
      Amount::fixed(2LL * model_.query_heads * partial_width(plan_.partial.columns) * row.scan_tokens);
  op.traffic.items = Amount::fixed(2 * model_.query_heads * row.scan_tokens);  // counted, then chosen
  op.traffic.accesses.push_back({plan_.device_tier, Direction::read,
                                 Amount::fixed(row.scan_tokens * partial_row_bytes(model_, plan_) +
                                               skew_bytes(model_, plan_.partial.columns))});
  return op;
}

Op ModelOps::send_choice(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = request_op(OpKind::send_choice, Role::d2h, row, layer);
  op.work.rows_per_head = rows.per_head;
  op.traffic.copies.push_back({plan_.device_tier, plan_.host_k_tier, scaled(rows.total, kIndexBytes)});
  return op;
}

// With each KV head's row goes the number of the slot that it takes.
Op ModelOps::pool_row(const RequestDecision& row, int layer, int buffer) const {
  Op op = request_op(OpKind::pool_row, Role::d2h, row, layer);
  op.work.kv = KvPlace::staging;
  op.work.buffer = buffer;
  op.work.first_token = row.first_position;
  op.work.tokens = 1;
  op.traffic.copies.push_back(
      {plan_.device_tier, plan_.host_k_tier, Amount::fixed(row_bytes() + model_.kv_heads * kIndexBytes)});
  op.traffic.copies.push_back({plan_.device_tier, plan_.host_v_tier, Amount::fixed(row_bytes())});
  return op;
}

Op ModelOps::gather_kv(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = request_op(OpKind::gather_kv, Role::host, row, layer);
  op.work.rows_per_head = rows.per_head;
  const Amount bytes = scaled(rows.total, head_row_bytes());
  op.traffic.accesses.push_back({plan_.host_k_tier, Direction::read, bytes, head_row_bytes()});
  op.traffic.accesses.push_back({plan_.host_v_tier, Direction::read, bytes, head_row_bytes()});
  op.traffic.accesses.push_back({plan_.host_k_tier, Direction::write, scaled(bytes, 2)});
  return op;
}

Op ModelOps::send_kv(const RequestDecision& row, int layer, const SelectedRows& rows) const {
  Op op = request_op(OpKind::send_kv, Role::h2d, row, layer);
  op.work.rows_per_head = rows.per_head;
  op.traffic.copies.push_back(
      {plan_.host_k_tier, plan_.device_tier, scaled(rows.total, 2 * head_row_bytes())});
  return op;
}

// The new token's rows are read once per query head, as the fetched ones are.
Op ModelOps::attend_fetched(const RequestDecision& row, int layer, int buffer,
                            const SelectedRows& rows) const {
  Op op = request_op(OpKind::attend_fetched, Role::device, row, layer);
  op.work.kv = KvPlace::staging;
  op.work.buffer = buffer;
  op.work.first_token = row.first_position;
  op.work.tokens = 1;
  op.work.rows_per_head = rows.per_head;
  op.traffic.flops = scaled(rows.total, 4LL * model_.head_dim);
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::read, scaled(rows.total, 2 * head_row_bytes())});
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::read, Amount::fixed(2 * model_.query_heads * head_row_bytes())});
  return op;
}

}  // namespace hybridgen
