// Hands a stream the kernels of one op: the meaning of every op kind of the roles device, h2d and d2h on a
// GPU. Launch arguments hold only what the step's structure fixes, as long as every row has one query token;
// a step with a prompt in it is launched anew each time.
#pragma once

#include <vector>

#include "core/step/step.hpp"
#include "runtime/cuda/device_state.hpp"
#include "runtime/cuda/kernels/matrix.cuh"
#include "runtime/cuda/kernels/pages.cuh"
#include "runtime/cuda/logic/joint_rows.hpp"
#include "runtime/weights/model_weights.hpp"

namespace hybridgen::cuda {

class GpuOps {
 public:
  // All outlive the object. weights: views of the card's memory.
  GpuOps(const ModelShape& shape, const ModelWeights& weights, const MemoryPlan& plan, DeviceState& state,
         std::vector<RequestBuffers>& slots);

  void enqueue(const Step& step, const Op& op, cudaStream_t stream) const;

 private:
  // Blocks of a transfer: loads enough under way for the link's latency, while most of the card computes on.
  static constexpr int kCopyBlocks = 32;
  static constexpr int kScoreBlocks = 8;

  // The op's request in the batch: its row, and where its query tokens start among all of the step's.
  struct RowPlace {
    std::size_t row = 0;
    Tokens first_query = 0;
    Tokens query_tokens = 0;
  };
  RowPlace place_of(const Step& step, const Op& op) const;
  const OpParams* params_of(const Op& op) const { return state_.params.ops + op.id.index(); }
  KvStore device_store(const Op& op) const;
  KvStore segment_store(const Op& op) const;
  KvStore host_store(const Op& op) const;
  const Exchange& exchange_of(const Op& op) const;
  PackedOffsets packed_of(const Op& op) const;
  float* slope_of(const Op& op) const { return state_.slope + op.slot.index() * shape_.query_heads; }
  float* shift_of(const Op& op) const { return state_.shift + op.slot.index() * shape_.query_heads; }
  PageStore pages_of(const Op& op) const;
  const KeptStore& kept_of(const Op& op) const;
  float* lse_of(const Op& op) const { return state_.lse + op.slot.index() * shape_.query_heads; }

  // gpu_layers.cpp: over all rows of the batch; but sample.
  void embed_rows(Tokens tokens, cudaStream_t stream) const;
  void norm_qkv(const Op& op, Tokens tokens, cudaStream_t stream) const;
  void project_out(const Op& op, Tokens tokens, cudaStream_t stream) const;
  void ffn(const Op& op, Tokens tokens, cudaStream_t stream) const;
  void lm_head(const Step& step, cudaStream_t stream) const;
  void predict(const Op& op, Tokens tokens, cudaStream_t stream) const;
  void norm(const NormWeights& weights, Tokens first, const RowParams* last_of_rows, Tokens tokens,
            cudaStream_t stream) const;
  void multiply(const MatrixArgs& args, Tokens tokens, cudaStream_t stream) const;
  void multiply_normed(const NormWeights& weights, Tokens first, MatrixArgs args, Tokens tokens,
                       cudaStream_t stream) const;
  void multiply_activated(const MatrixArgs& args, Tokens tokens, cudaStream_t stream) const;
  void sample(const Step& step, const Op& op, cudaStream_t stream) const;

  // gpu_attention.cpp, and from here on: one request.
  void attend_rows(const Step& step, const Op& op, cudaStream_t stream) const;
  void prefill(const Step& step, const Op& op, cudaStream_t stream) const;
  void logits(const Step& step, const Op& op, cudaStream_t stream) const;
  void joint(const Step& step, const Op& op, cudaStream_t stream) const;
  void join(const Step& step, const Op& op, cudaStream_t stream) const;
  void fit(const Step& step, const Op& op, cudaStream_t stream) const;
  void logits_of_packed(const Step& step, const Op& op, cudaStream_t stream) const;
  void attend_to_kept(const Step& step, const Op& op, cudaStream_t stream) const;
  void attend_to_pages(const Step& step, const Op& op, cudaStream_t stream) const;
  void attend_to_fetched(const Step& step, const Op& op, cudaStream_t stream) const;

  // gpu_exchange.cpp
  void copy(const Op& op, const KvStore& from, const KvStore& to, cudaStream_t stream) const;
  void query_down(const Step& step, const Op& op, cudaStream_t stream) const;
  void scores_up(const Op& op, cudaStream_t stream) const;
  void rows_up(const Op& op, cudaStream_t stream) const;
  void partial_up(const Op& op, cudaStream_t stream) const;
  void choice_down(const Op& op, cudaStream_t stream) const;

  // gpu_choices.cpp
  void score(const Step& step, const Op& op, cudaStream_t stream) const;
  void keep(const Op& op, cudaStream_t stream) const;
  void choose_pages(const Step& step, const Op& op, cudaStream_t stream) const;
  void keep_partial_keys(const Step& step, const Op& op, cudaStream_t stream) const;
  void choose_partial(const Step& step, const Op& op, cudaStream_t stream) const;

  const ModelShape& shape_;
  const ModelWeights& weights_;
  DeviceState& state_;
  std::vector<RequestBuffers>& slots_;
  HeadShape heads_;
  KvType kv_type_;
  int row_bytes_;  // one K or V row of one head
  LookaheadPlan lookahead_;
  PartialPlan partial_;
  Tokens page_tokens_;  // of a page whose bounds are kept
  float scale_;         // 1 / sqrt(head_dim)
};

}  // namespace hybridgen::cuda
