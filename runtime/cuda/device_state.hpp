// What the card holds besides KV: the working memory of a step, its parameter block, token ids, tables of KV
// stores. Taken whole before the first step; addresses never change, so graphs may keep them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"
#include "core/step/step.hpp"
#include "runtime/cuda/device_memory.hpp"
#include "runtime/cuda/kernels/kept_store.cuh"
#include "runtime/cuda/kernels/partial_store.cuh"
#include "runtime/cuda/kernels/partials.hpp"
#include "runtime/cuda/logic/split.hpp"
#include "runtime/cuda/step_params.hpp"
#include "runtime/host/request_buffers.hpp"
#include "runtime/host/tokens.hpp"

namespace hybridgen::cuda {

// One step's sizes: written by the host into pinned memory, copied to the card at the step's start.
struct ParamBlock {
  StepParams* step = nullptr;
  RowParams* rows = nullptr;  // [slots]
  OpParams* ops = nullptr;    // [most_ops]
};

class DeviceState {
 public:
  // slots: by slot id, with KV in the memory of their tiers. multiprocessors: of the card.
  // most_query_tokens: of a step; 0: the longest prompt.
  DeviceState(const ModelShape& shape, const MemoryPlan& plan, const TokenFeed& feed, Tokens new_tokens,
              const std::vector<RequestBuffers>& slots, int multiprocessors, Tokens most_query_tokens);

  std::int64_t most_tokens = 0;  // query tokens of a step
  std::size_t most_ops = 0;      // of a step
  std::int64_t qkv_width = 0;

  // Of the card; layouts as in runtime/host/activations.hpp.
  float *hidden = nullptr, *normed = nullptr, *qkv = nullptr, *attended = nullptr, *ffn_in = nullptr;
  double* frequencies = nullptr;  // [head_dim / 2]: radians per position
  float *cosine = nullptr, *sine = nullptr, *logits = nullptr;
  std::int32_t* tokens = nullptr;  // [request][token_stride]
  std::int64_t token_stride = 0;
  std::int32_t* forced = nullptr;  // [request][new tokens]; null without teacher forcing
  std::int64_t forced_stride = 0;
  std::int32_t* offsets = nullptr;  // [slot][buffer][query_heads + 1]: packed rows by head, as sent up
  float* lse = nullptr;             // [slot][query_heads], of a partial output until it is joined
  PartialSpace space;
  int attend_splits = 1;     // of kernels over the device's rows
  JointSplits joint_splits;  // of the joint softmax
  int row_splits = 1;        // of kernels over a query head's own rows
  ParamBlock params;
  // Where a slot's offsets of an exchange buffer lie, in `offsets` and in `host_offsets`.
  std::int64_t offsets_at(std::size_t slot, int buffer) const {
    return (static_cast<std::int64_t>(slot) * exchange_buffers_ + buffer) * offsets_stride_;
  }

  // Of plans that work one layer ahead; else null.
  float* predicted[2] = {};                  // [tokens of a decode step][q_width], by exchange buffer
  float* low_rank = nullptr;                 // [tokens of a decode step][rank], of the fitted predictor
  float *slope = nullptr, *shift = nullptr;  // [slot][query_heads], from predicted to true logits

  // Of plans that choose host rows by a few columns of K; else null.
  double* column_weights = nullptr;     // [kv_heads][head_dim], of the layer at hand
  float* skewed_query = nullptr;        // [query_heads][width], the same
  unsigned* passing = nullptr;          // the same
  std::int32_t* counts = nullptr;       // [slot][buffer]: rows per query head
  std::int32_t* host_counts = nullptr;  // mapped: as counts, sent down
  const PartialStore& partial(std::size_t slot, int layer) const;
  std::int64_t count_at(std::size_t slot, int buffer) const {
    return static_cast<std::int64_t>(slot) * exchange_buffers_ + buffer;
  }

  // Of plans that keep chosen rows; else null.
  float* kept_scores = nullptr;     // [query_heads][segment_tokens], of the layer at hand
  float* pooled_mass = nullptr;     // [kv_heads][staging_tokens], the same
  float* prompt_lse = nullptr;      // [most_tokens][query_heads], the same
  std::int32_t* no_rows = nullptr;  // [query_heads + 1]: zeros, packed rows of attention that has none
  const KeptStore& kept(std::size_t slot, int layer) const;

  // Mapped: both sides reach them.
  std::int32_t* host_offsets = nullptr;  // as offsets, written by the host lane after a selection
  std::int32_t* sampled = nullptr;       // [request]
  float* host_logits = nullptr;          // [request][vocab]; null unless the feed wants logits
  std::uint32_t* flags = nullptr;        // [most_ops * kFlagStride]
  std::uint32_t* abandon = nullptr;      // not 0: nobody may wait any longer

  // Stores of a layer (segment) or of a buffer (staging), by slot.
  const KvStore* stores(KvPlace place, int layer, int buffer) const;

  // The step's sizes into pinned memory; then onto the card.
  void write_params(const Step& step, std::uint32_t sequence,
                    const std::vector<std::vector<std::int32_t>>& tokens_so_far,
                    const std::vector<std::vector<std::int32_t>>& prompts);
  void upload_params(cudaStream_t stream) const;

 private:
  void take_splits(const ModelShape& shape, const MemoryPlan& plan, int multiprocessors);
  void take_activations(const ModelShape& shape);
  void take_params();
  void take_tokens(const TokenFeed& feed, Tokens new_tokens);
  void take_stores(const ModelShape& shape, const MemoryPlan& plan, const std::vector<RequestBuffers>& slots);
  void take_partial(const ModelShape& shape, const MemoryPlan& plan);
  PartialStore partial_store(const ModelShape& shape, const MemoryPlan& plan, Tokens slots);
  void take_lookahead(const ModelShape& shape, const MemoryPlan& plan);
  void take_kept(const ModelShape& shape, const MemoryPlan& plan, const std::vector<RequestBuffers>& slots);
  ParamBlock block_at(std::byte* base) const;

  TierMemory device_;
  TierMemory mapped_;
  ParamBlock pinned_;
  Bytes param_bytes_ = 0;
  std::size_t requests_ = 0;
  std::size_t slots_ = 0;
  std::int64_t exchange_buffers_ = 1;
  std::int64_t offsets_stride_ = 0;
  KvStore* segment_ = nullptr;         // [layer][slot], on the card
  KvStore* staging_ = nullptr;         // [buffer][slot]
  std::vector<PartialStore> partial_;  // [slot][layer from whole_layers on]
  int whole_layers_ = 0;
  int partial_layers_ = 0;
  std::vector<KeptStore> kept_;  // [layer][slot]; their `next` lie in this order behind each other
};

}  // namespace hybridgen::cuda
