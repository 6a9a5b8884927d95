#include "runtime/cuda/moved_bytes.hpp"

#include "core/base/check.hpp"
#include "core/machine/tiles.hpp"
#include "core/policy/model_ops.hpp"

namespace hybridgen::cuda {
namespace {

constexpr Bytes kFloat = sizeof(float);

Tokens query_tokens(const Step& step) {
  Tokens sum = 0;
  for (const BatchRow& row : step.batch) sum += row.query_tokens;
  return sum;
}

}  // namespace

MovedBytes::MovedBytes(const ModelShape& shape, const MemoryPlan& plan)
    : shape_(shape), plan_(plan), head_row_(head_row_bytes(shape, plan.kv_dtype)) {}

void MovedBytes::count_weights(const Step& step, const Op& op, ByteCounter& bytes) const {
  const TierId device = plan_.device_tier;
  const Tokens tokens = query_tokens(step);
  switch (op.kind) {
    case OpKind::embed:
      return bytes.access(device, tokens * shape_.embed_bytes());
    case OpKind::norm_qkv:
      bytes.access(device, tiles_of(tokens) * shape_.qkv_bytes());
      return bytes.access(device, 2 * tokens * shape_.kv_heads * head_row_);
    case OpKind::project_out:
      return bytes.access(device, tiles_of(tokens) * shape_.out_bytes());
    case OpKind::ffn:
      return bytes.access(device, tiles_of(tokens) * shape_.ffn_bytes());
    default:
      return bytes.access(device, shape_.head_bytes());
  }
}

// Rows, and the 4 bytes each of a position and, where the rule scores, of a mass, per KV head.
void MovedBytes::count_kept(const Op& op, ByteCounter& bytes) const {
  const Work& work = op.work;
  const bool scores = work.rule != SelectRule::sink_window;
  const Bytes known_by = shape_.kv_heads * (scores ? 2 : 1) * kFloat;
  const Bytes row = 2 * shape_.kv_heads * head_row_;  // K and V
  Bytes sum = 0;
  if (op.kind == OpKind::score_prompt) sum = work.tokens * (row / 2 + shape_.kv_heads * kFloat);
  if (op.kind == OpKind::evict_row) sum = ((work.evict ? work.tokens : 0) + 1) * known_by;
  if (op.kind == OpKind::keep_rows) {
    sum = work.rows_per_head * (2 * row + known_by) + (scores ? work.tokens * shape_.kv_heads * kFloat : 0);
  }
  if (op.kind == OpKind::attend_kept) {
    sum = work.tokens * (row + (work.rule == SelectRule::heavy_hitter ? 2 * shape_.kv_heads * kFloat : 0));
  }
  bytes.access(plan_.device_tier, sum);
}

// Bounds are two rows a page: written for every page with a new row, and read where it was begun before.
void MovedBytes::count_pages(const Op& op, ByteCounter& bytes) const {
  const Work& work = op.work;
  std::int64_t head_rows = 0;
  if (op.kind == OpKind::select_pages) head_rows = shape_.kv_heads * 2 * (work.tokens / plan_.page_tokens);
  if (op.kind == OpKind::attend_pages)
    head_rows = shape_.query_heads * 2 * (work.rows_per_head + work.tokens);
  if (op.kind == OpKind::page_bounds) {
    const Tokens first = work.first_token / plan_.page_tokens;
    const Tokens last = (work.first_token + work.tokens - 1) / plan_.page_tokens;
    const bool begun = work.first_token % plan_.page_tokens != 0;
    head_rows = shape_.kv_heads * (work.tokens + 2 * (last - first + 1) + (begun ? 2 : 0));
  }
  bytes.access(plan_.device_tier, head_rows * head_row_);
}

void MovedBytes::count_partial(const Op& op, std::int64_t chosen, ByteCounter& bytes) const {
  const Work& work = op.work;
  const TierId device = plan_.device_tier;
  const Bytes row = shape_.kv_heads * head_row_;
  const Bytes partial_row = partial_row_bytes(shape_, plan_);
  const bool prompt = work.first_token == 0;
  if (op.kind == OpKind::partial_keys) {
    const int columns = prompt ? shape_.head_dim : plan_.partial.columns;
    bytes.access(device, work.tokens * (row + partial_row) + skew_bytes(shape_, columns));
  }
  if (op.kind == OpKind::partial_select) {
    bytes.access(device, work.tokens * partial_row + skew_bytes(shape_, plan_.partial.columns));
  }
  if (op.kind == OpKind::send_choice) bytes.copy(device, plan_.exchange_tier, chosen * kIndexBytes);
  if (op.kind == OpKind::pool_row) {
    bytes.copy(device, plan_.host_k(op.layer), row + shape_.kv_heads * kIndexBytes);
    bytes.copy(device, plan_.host_v(op.layer), row);
  }
  if (op.kind == OpKind::attend_fetched) bytes.access(device, 2 * (chosen + shape_.query_heads) * head_row_);
}

void MovedBytes::count(const Step& step, const Op& op, std::int64_t chosen, ByteCounter& bytes) const {
  const TierId device = plan_.device_tier;
  const std::int64_t packed = chosen / plan_.exchange_group;        // rows: a group's heads share them
  const Bytes rows = op.work.tokens * shape_.kv_heads * head_row_;  // K, or V, of the op's tokens
  switch (op.kind) {
    case OpKind::embed:
    case OpKind::norm_qkv:
    case OpKind::project_out:
    case OpKind::ffn:
    case OpKind::lm_head:
      return count_weights(step, op, bytes);
    case OpKind::attend:
    case OpKind::prefill_attend:
    case OpKind::device_partial:
      return bytes.access(device, 2 * rows);
    case OpKind::keep_kv:
      return bytes.access(device, 4 * rows);  // read and written
    case OpKind::load_kv:
      bytes.copy(plan_.host_k(op.layer), device, rows);
      return bytes.copy(plan_.host_v(op.layer), device, rows);
    case OpKind::offload_kv:
      bytes.copy(device, plan_.host_k(op.layer), rows);
      return bytes.copy(device, plan_.host_v(op.layer), rows);
    case OpKind::send_query:
      return bytes.copy(device, plan_.exchange_tier, shape_.q_width() * kFloat);
    case OpKind::send_scores:
      return bytes.copy(plan_.exchange_tier, device, chosen * kFloat);
    case OpKind::send_rows:
    case OpKind::send_keys:
      return bytes.copy(plan_.exchange_tier, device, packed * head_row_);
    case OpKind::row_logits:
      return bytes.access(device, packed * head_row_);
    case OpKind::correct_scores:
      return bytes.access(device, 2 * chosen * kFloat);  // read and written
    case OpKind::predict_query:
      return bytes.access(device, shape_.q_bytes() + (plan_.lookahead.fitted ? shape_.predictor_bytes() : 0));
    case OpKind::device_logits:
    case OpKind::fit_logits:
      return bytes.access(device, rows);
    case OpKind::joint_attend:
      return bytes.access(device, rows + packed * head_row_ + chosen * kFloat);
    case OpKind::send_partial:
      return bytes.copy(plan_.exchange_tier, device, (shape_.q_width() + shape_.query_heads) * kFloat);
    case OpKind::join_partials:
      return bytes.access(device, (shape_.q_width() + shape_.query_heads) * kFloat);
    case OpKind::sample:
      return;
    case OpKind::host_logits:
    case OpKind::select:
    case OpKind::pack_rows:
    case OpKind::host_attend:
    case OpKind::pack_keys:
      break;
    case OpKind::partial_keys:
    case OpKind::partial_select:
    case OpKind::send_choice:
    case OpKind::pool_row:
    case OpKind::attend_fetched:
      return count_partial(op, chosen, bytes);
    case OpKind::score_prompt:
    case OpKind::keep_rows:
    case OpKind::evict_row:
    case OpKind::attend_kept:
      return count_kept(op, bytes);
    case OpKind::page_bounds:
    case OpKind::select_pages:
    case OpKind::attend_pages:
      return count_pages(op, bytes);
  }
  HG_CHECK(false, "op " << op.id.value << " (" << name_of(op.kind) << ") is none of a stream's");
}

}  // namespace hybridgen::cuda
