// Copies between the device's memory and the host's: real ones, counted as they are made.
#include <cstring>

#include "core/base/check.hpp"
#include "runtime/host/op_runner.hpp"

namespace hybridgen {
namespace {

// Copies a run of rows of every KV head; returns the bytes.
Bytes copy_rows(const RowStore& from, Tokens from_slot, const RowStore& to, Tokens to_slot, Tokens count,
                int kv_heads, Bytes row) {
  if (count == 0) return 0;
  HG_CHECK(from_slot + count <= from.slots && to_slot + count <= to.slots, "rows beyond their store");
  for (int head = 0; head < kv_heads; ++head) {
    std::memcpy(to.head(head, row) + to_slot * row, from.head(head, row) + from_slot * row,
                static_cast<std::size_t>(count * row));
  }
  return kv_heads * count * row;
}

}  // namespace

void OpRunner::load_kv(const OpContext& context) {
  const Op& op = context.op;
  const RequestBuffers& kv = buffers(context);
  const Tokens count = op.work.tokens;
  const RowStore& k = kv.device_k(KvPlace::staging, op.layer, op.work.buffer);
  const RowStore& v = kv.device_v(KvPlace::staging, op.layer, op.work.buffer);
  context.bytes.copy(plan_.host_k(op.layer), plan_.device_tier,
                     copy_rows(kv.host_k(op.layer), 0, k, 0, count, shape_.kv_heads, head_row_));
  context.bytes.copy(plan_.host_v(op.layer), plan_.device_tier,
                     copy_rows(kv.host_v(op.layer), 0, v, 0, count, shape_.kv_heads, head_row_));
}

void OpRunner::offload_kv(const OpContext& context) {
  const Op& op = context.op;
  const RequestBuffers& kv = buffers(context);
  const RowStore& k = kv.device_k(op.work.kv, op.layer, op.work.buffer);
  const RowStore& v = kv.device_v(op.work.kv, op.layer, op.work.buffer);
  // On the host a token sits in the slot of its position, less the first tokens, which never come down.
  Tokens token = op.work.first_token - kv.size().sink_tokens;
  for (const SlotRun& run : segment_runs(op.work.first_token, op.work.tokens, k.slots, k.sinks)) {
    context.bytes.copy(
        plan_.device_tier, plan_.host_k(op.layer),
        copy_rows(k, run.slot, kv.host_k(op.layer), token, run.count, shape_.kv_heads, head_row_));
    context.bytes.copy(
        plan_.device_tier, plan_.host_v(op.layer),
        copy_rows(v, run.slot, kv.host_v(op.layer), token, run.count, shape_.kv_heads, head_row_));
    token += run.count;
  }
}

void OpRunner::keep_kv(const OpContext& context) {
  const Op& op = context.op;
  const RequestBuffers& kv = buffers(context);
  const RowStore& from_k = kv.device_k(KvPlace::staging, op.layer, op.work.buffer);
  const RowStore& from_v = kv.device_v(KvPlace::staging, op.layer, op.work.buffer);
  const RowStore& to_k = kv.device_k(KvPlace::segment, op.layer, 0);
  const RowStore& to_v = kv.device_v(KvPlace::segment, op.layer, 0);
  Tokens token = op.work.first_token;
  for (const SlotRun& run : segment_runs(op.work.first_token, op.work.tokens, to_k.slots, to_k.sinks)) {
    const Bytes bytes = copy_rows(from_k, token, to_k, run.slot, run.count, shape_.kv_heads, head_row_) +
                        copy_rows(from_v, token, to_v, run.slot, run.count, shape_.kv_heads, head_row_);
    context.bytes.access(plan_.device_tier, bytes);  // read
    context.bytes.access(plan_.device_tier, bytes);  // written
    token += run.count;
  }
}

void OpRunner::send_query(const OpContext& context) {
  const Work& work = context.op.work;
  const Tokens query = place_of(context).first_query;
  const float* from =
      work.predicted ? act_.predicted[static_cast<std::size_t>(work.buffer)].data() + query * shape_.q_width()
                     : act_.qkv.data() + query * act_.qkv_width;
  const auto bytes = static_cast<Bytes>(shape_.q_width() * static_cast<std::int64_t>(sizeof(float)));
  std::memcpy(buffers(context).exchange(work.buffer).query, from, static_cast<std::size_t>(bytes));
  context.bytes.copy(plan_.device_tier, plan_.exchange_tier, bytes);
}

void OpRunner::send_scores(const OpContext& context) {
  const Exchange& exchange = exchange_of(context);
  const Bytes bytes = exchange.scores_up() * static_cast<Bytes>(sizeof(float));
  std::memcpy(exchange.device_chosen_scores, exchange.chosen_scores, static_cast<std::size_t>(bytes));
  context.bytes.copy(plan_.exchange_tier, plan_.device_tier, bytes);
}

void OpRunner::send_rows(const OpContext& context) {
  const Exchange& exchange = exchange_of(context);
  const bool keys = context.op.kind == OpKind::send_keys;
  const Bytes bytes = exchange.rows_up() * head_row_;
  std::memcpy(keys ? exchange.device_packed_keys : exchange.device_packed,
              keys ? exchange.packed_keys : exchange.packed, static_cast<std::size_t>(bytes));
  context.bytes.copy(plan_.exchange_tier, plan_.device_tier, bytes);
}

void OpRunner::send_partial(const OpContext& context) {
  RequestBuffers& request = buffers(context);
  const auto bytes =
      static_cast<Bytes>((shape_.q_width() + shape_.query_heads) * static_cast<std::int64_t>(sizeof(float)));
  std::memcpy(request.host_partial_up.out, request.host_partial.out, static_cast<std::size_t>(bytes));
  context.bytes.copy(plan_.exchange_tier, plan_.device_tier, bytes);
}

}  // namespace hybridgen
