#include "core/policy/model_ops.hpp"

#include "core/machine/tiles.hpp"

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

Op ModelOps::embed(const Decision& decision) const {
  return device_op(OpKind::embed, -1, query_tokens(decision) * model_.embed_bytes(), 0);
}

Op ModelOps::norm_qkv(const Decision& decision, int layer, const KvTarget& target) const {
  const std::int64_t tokens = query_tokens(decision);
  Op op = device_op(OpKind::norm_qkv, layer, tiles_of(tokens) * model_.qkv_bytes(),
                    2 * tokens * model_.qkv_weights());
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::write, Amount::fixed(2 * tokens * row_bytes())});
  op.work.kv = target.place;
  op.work.buffer = target.buffer;
  return op;
}

Op ModelOps::project_out(const Decision& decision, int layer) const {
  const std::int64_t tokens = query_tokens(decision);
  return device_op(OpKind::project_out, layer, tiles_of(tokens) * model_.out_bytes(),
                   2 * tokens * model_.out_weights());
}

Op ModelOps::ffn(const Decision& decision, int layer) const {
  const std::int64_t tokens = query_tokens(decision);
  return device_op(OpKind::ffn, layer, tiles_of(tokens) * model_.ffn_bytes(),
                   2 * tokens * model_.ffn_weights());
}

Op ModelOps::lm_head(const Decision& decision) const {
  return device_op(OpKind::lm_head, -1, model_.head_bytes(),
                   2 * static_cast<std::int64_t>(decision.rows.size()) * model_.head_weights());
}

Op ModelOps::predict_query(const Decision& decision, int layer) const {
  const bool fitted = plan_.lookahead.fitted;
  const std::int64_t weights = model_.hidden * model_.q_width() + (fitted ? model_.predictor_weights() : 0);
  Op op = device_op(OpKind::predict_query, layer, model_.q_bytes() + (fitted ? model_.predictor_bytes() : 0),
                    2 * query_tokens(decision) * weights);
  op.work.buffer = layer % plan_.exchange_buffers();
  return op;
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
  op.traffic.accesses.push_back({plan_.host_k(layer), Direction::read, Amount::fixed(tokens * row_bytes())});
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
  op.traffic.accesses.push_back({plan_.device_tier, Direction::read, Amount::fixed(tokens * row_bytes())});
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
  device_access(op, Direction::read, tokens * row_bytes());
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
  device_access(op, Direction::read, scored * kMassBytes + 2 * row.device_tokens * row_bytes());
  device_access(op, Direction::write, row.device_tokens * (2 * row_bytes() + model_.kv_heads * known_by));
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
  device_access(op, Direction::read, 2 * row.device_tokens * row_bytes() + mass);
  device_access(op, Direction::write, mass);
  return op;
}

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
  device_access(op, Direction::read, row.query_tokens * row_bytes() + skew_bytes(model_, read));
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
  op.traffic.copies.push_back(
      {plan_.device_tier, plan_.host_k(layer), Amount::fixed(row_bytes() + model_.kv_heads * kIndexBytes)});
  op.traffic.copies.push_back({plan_.device_tier, plan_.host_v(layer), Amount::fixed(row_bytes())});
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
