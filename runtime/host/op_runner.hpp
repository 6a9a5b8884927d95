// Carries out one op on the lane that calls it: the meaning of every op kind on this machine. The host device
// plays the GPU: its ops touch its own memory only, and the copies between are real copies.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/step/step.hpp"
#include "runtime/host/activations.hpp"
#include "runtime/host/head_shares.hpp"
#include "runtime/host/host_model.hpp"
#include "runtime/host/host_ops.hpp"
#include "runtime/host/op_context.hpp"
#include "runtime/host/page_ops.hpp"
#include "runtime/host/partial_ops.hpp"
#include "runtime/host/request_buffers.hpp"
#include "runtime/host/tokens.hpp"

namespace hybridgen {

// Ops that run at the same time touch different buffers: the plan's dependencies say so, not locks.
class OpRunner {
 public:
  // new_tokens: the most of any request. memory: by tier id. device_threads, host_threads: of the largest
  // lane in each role, for their scratch.
  OpRunner(const HostModel& model, const MemoryPlan& plan, TokenFeed feed, Tokens new_tokens,
           std::vector<TierMemory>& memory, int device_threads, int host_threads);

  // Returns the count of the outcome that the op produces, 0 for an op that produces none.
  std::int64_t run(const OpContext& context);

  // All tokens of a request: its prompt, then the generated ones.
  const std::vector<std::int32_t>& tokens(RequestId request) const { return tokens_.at(request.index()); }
  const RequestBuffers& buffers(SlotId slot) const { return slots_.at(slot.index()); }

 private:
  // The op's request in the batch: its row and where its query tokens start among all of the step's.
  struct RowPlace {
    std::size_t row = 0;
    Tokens first_query = 0;
    Tokens query_tokens = 0;
    Tokens first_position = 0;
  };
  RowPlace place_of(const OpContext& context) const;
  static Tokens query_tokens(const Step& step);
  DeviceRow device_row(const OpContext& context);
  PartialRow partial_row(const OpContext& context);

  // device_ops.cpp
  void embed(const OpContext& context);
  void norm_qkv(const OpContext& context);
  void store_new_rows(const OpContext& context, const RequestBuffers& kv, Tokens query, Tokens position);
  void project_out(const OpContext& context);
  void ffn(const OpContext& context);
  void lm_head(const OpContext& context);
  std::int64_t sample(const OpContext& context);
  void add_position(const OpContext& context, Tokens query, Tokens position);
  void finish_heads(float* x, int heads, const float* norm, Tokens query) const;
  void norm_row(const NormWeights& weights, const float* x, float* out) const;
  void norm(const OpContext& context, const NormWeights& weights, Tokens first, Tokens tokens);
  void activate(const OpContext& context, Tokens tokens);
  void add_to_residual(const OpContext& context, Tokens first, Tokens tokens);
  // out[t][rows] = x[t][cols] . W^T + bias, the weight rows shared out over the team.
  void project(const OpContext& context, const ProductWeights& weights, std::int64_t rows, std::int64_t cols,
               const float* x, std::int64_t x_stride, Tokens tokens, float* out, std::int64_t out_stride);

  // device_attention.cpp
  void attend(const OpContext& context);
  void attend_many(const OpContext& context, const RowPlace& place);
  void device_logits(const OpContext& context);
  void joint_attend(const OpContext& context);
  void join_partials(const OpContext& context);
  using Spans = std::array<kernels::KvSpan, 3>;
  int spans_of(const OpContext& context, const HeadShare& share, Spans& spans) const;
  template <class Part>
  void share_heads(const OpContext& context, float* out, float* lse, const Part& part);

  // kept_ops.cpp
  void score_prompt(const OpContext& context);
  void keep_rows(const OpContext& context);
  void evict_row(const OpContext& context);
  void attend_kept(const OpContext& context);
  const float* sink_query(const OpContext& context, const float* q);
  KeptRows& kept_rows(const OpContext& context);

  // lookahead_ops.cpp
  void predict_query(const OpContext& context);
  void fit_logits(const OpContext& context);
  void correct_scores(const OpContext& context);
  void row_logits(const OpContext& context);
  void probe(const OpContext& context);

  // copy_ops.cpp
  void load_kv(const OpContext& context);
  void offload_kv(const OpContext& context);
  void keep_kv(const OpContext& context);
  void send_query(const OpContext& context);
  void send_scores(const OpContext& context);
  void send_rows(const OpContext& context);
  void send_partial(const OpContext& context);

  Exchange& exchange_of(const OpContext& context) {
    return buffers(context).exchange(context.op.work.buffer);
  }
  RequestBuffers& buffers(const OpContext& context) { return slots_.at(context.op.slot.index()); }
  const RequestBuffers& buffers(const OpContext& context) const { return slots_.at(context.op.slot.index()); }

  const ModelShape& shape_;
  const ModelWeights& weights_;
  MemoryPlan plan_;
  HostOps host_ops_;
  PageOps page_ops_;
  PartialOps partial_ops_;
  TokenFeed feed_;
  kernels::KvType kv_type_;
  Bytes head_row_;                                 // one K or V row of one head
  float scale_;                                    // 1 / sqrt(head_dim)
  std::vector<double> frequencies_;                // of the rotary positions, by pair; empty without
  std::vector<std::vector<std::int32_t>> tokens_;  // by request
  std::vector<RequestBuffers> slots_;              // by slot
  std::vector<PartialKeys> pools_;                 // by slot, where the device chooses host rows
  Activations act_;
};

}  // namespace hybridgen
