#include "core/policy/model_ops.hpp"

#include "core/machine/tiles.hpp"

namespace hybridgen {
namespace {

std::int64_t query_tokens(const Decision& decision) {
  std::int64_t sum = 0;
  for (const RequestDecision& row : decision.rows) sum += row.query_tokens;
  return sum;
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
  Op op = device_op(OpKind::norm_qkv, layer, tiles_of(tokens) * model_.qkv_bytes(),
                    2 * tokens * model_.qkv_weights());
  op.traffic.accesses.push_back(
      {plan_.device_tier, Direction::write, Amount::fixed(2 * tokens * kv_row_bytes())});
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
      {plan_.device_tier, Direction::read, Amount::fixed(2 * tokens * kv_row_bytes())});
  return op;
}

Op ModelOps::load_kv(const RequestDecision& row, int layer, int buffer, Tokens tokens) const {
  Op op = request_op(OpKind::load_kv, Role::h2d, row, layer);
  op.work.kv = KvPlace::staging;
  op.work.buffer = buffer;
  op.work.tokens = tokens;
  op.traffic.copies.push_back(
      {plan_.host_k(layer), plan_.device_tier, Amount::fixed(tokens * kv_row_bytes())});
  op.traffic.copies.push_back(
      {plan_.host_v(layer), plan_.device_tier, Amount::fixed(tokens * kv_row_bytes())});
  return op;
}

Op ModelOps::offload_kv(const RequestDecision& row, int layer, KvPlace place, int buffer, Tokens first,
                        Tokens tokens) const {
  Op op = request_op(OpKind::offload_kv, Role::d2h, row, layer);
  op.work.kv = place;
  op.work.buffer = buffer;
  op.work.first_token = first;
  op.work.tokens = tokens;
  op.traffic.copies.push_back(
      {plan_.device_tier, plan_.host_k(layer), Amount::fixed(tokens * kv_row_bytes())});
  op.traffic.copies.push_back(
      {plan_.device_tier, plan_.host_v(layer), Amount::fixed(tokens * kv_row_bytes())});
  return op;
}

Op ModelOps::keep_kv(const RequestDecision& row, int layer, int buffer, Tokens first, Tokens tokens) const {
  Op op = request_op(OpKind::keep_kv, Role::device, row, layer);
  op.work.kv = KvPlace::staging;
  op.work.buffer = buffer;
  op.work.first_token = first;
  op.work.tokens = tokens;
  const Amount bytes = Amount::fixed(2 * tokens * kv_row_bytes());
  op.traffic.accesses.push_back({plan_.device_tier, Direction::read, bytes});
  op.traffic.accesses.push_back({plan_.device_tier, Direction::write, bytes});
  return op;
}

Op ModelOps::host_attend(const RequestDecision& row, int layer, Tokens tokens) const {
  Op op = request_op(OpKind::host_attend, Role::host, row, layer);
  op.work.tokens = tokens;
  op.traffic.flops = Amount::fixed(4 * model_.q_width() * tokens);
  for (const TierId tier : {plan_.host_k(layer), plan_.host_v(layer)}) {
    op.traffic.accesses.push_back({tier, Direction::read, Amount::fixed(tokens * kv_row_bytes())});
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
