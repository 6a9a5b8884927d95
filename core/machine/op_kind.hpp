// The kinds of work a step is made of. A platform's kernel costs are keyed by these names.
#pragma once

#include <string_view>

namespace hybridgen {

// New kinds go to the end: recorded runs carry hashes of their numbers.
enum class OpKind {
  embed,           // token ids to hidden states
  norm_qkv,        // RMSNorm, Q, K, V projections, RoPE; writes the new K and V rows on the device
  attend,          // decode: full attention on the device over the segment or the staging buffer
  prefill_attend,  // causal attention of a prompt's query tokens on the device
  load_kv,         // copy: one layer's host K and V to the staging buffer
  offload_kv,      // copy: K and V rows from the device to the host segment
  keep_kv,         // staging buffer to device segment, inside the device
  send_query,      // copy: q down to the host
  host_logits,     // scaled q.K over the host segment
  select,          // which host rows enter the softmax; its count may be an outcome
  pack_rows,       // gather the selected V rows into one buffer
  send_scores,     // copy: the selected logits up
  send_rows,       // copy: the packed V rows up
  device_logits,   // scaled q.K over the device segment
  joint_attend,    // one softmax over device and host logits, weighted sum over V rows of both
  project_out,     // output projection and residual
  ffn,             // RMSNorm, gate and up, SwiGLU, down, residual
  lm_head,         // final RMSNorm and logits over the vocabulary (last query token of each request)
  sample,          // the next token; end of sequence is an outcome
  host_attend,     // full attention over the host segment: partial output and log-sum-exp per query head
  send_partial,    // copy: the host's partial output and log-sum-exp up
  device_partial,  // the same attention over the device segment
  join_partials,   // one attention of the device's partial and the host's
  page_bounds,     // per page of the step's new tokens: least and largest K of each channel
  select_pages,    // an upper bound of what each page can score; the pages with the largest, per query head
  attend_pages,    // gather: attention on the device over each query head's own pages
  score_prompt,    // attention mass of a prompt's queries on each of its tokens, per KV head
  keep_rows,       // the prompt's rows that stay: staging buffer to device segment, chosen per KV head
  evict_row,       // the slot of the segment that the new token takes: a free one, or a leaving row's
  attend_kept,     // decode: attention on the device over the kept rows; may add to their mass
  predict_query,   // a layer's q as the input of the layer before it would have it: norm, projection, RoPE
  pack_keys,       // gather the selected K rows into one buffer
  send_keys,       // copy: the packed K rows up
  row_logits,      // scaled q.K over the K rows that came up
  fit_logits,      // device_logits of true and predicted q at once, and the line from one to the other
  correct_scores,  // that line on the logits that came up
  partial_keys,    // a few columns of the skewed K of the step's new rows; a prompt chooses which columns
  partial_select,  // predicted q scores all rows by these columns; which rows, and how many, is an outcome
  send_choice,     // copy: which rows, down
  pool_row,        // copy: the new token's K and V down to its slot of the host pool
  attend_fetched,  // attention on the device over each query head's rows that came up, and the new token
};
inline constexpr int kOpKinds = static_cast<int>(OpKind::attend_fetched) + 1;

const char* name_of(OpKind kind);
// Returns false when no kind has this name.
bool parse_op_kind(std::string_view name, OpKind& kind);

}  // namespace hybridgen
