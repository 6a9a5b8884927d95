// A plain full-attention Llama on one thread, wired from the kernels with nothing around them: what the
// end-to-end test judges and the bench times. Not the executor; it has no policy and one memory.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "runtime/kernels/kv_type.hpp"
#include "runtime/weights/model_weights.hpp"

namespace hybridgen::kernels {

// Owns aligned memory for weights; give it to the loaders as their allocator.
class AlignedMemory {
 public:
  WeightAllocator allocator() {
    return [this](Bytes bytes) {
      void* block = std::aligned_alloc(kWeightAlignment, static_cast<std::size_t>(bytes));
      block_.reset(static_cast<std::byte*>(block));
      return block_.get();
    };
  }

 private:
  struct Free {
    void operator()(std::byte* block) const { std::free(block); }
  };
  std::unique_ptr<std::byte, Free> block_;
};

class LlamaLoop {
 public:
  // Room for `capacity` tokens of KV.
  LlamaLoop(const ModelWeights& weights, KvType type, std::int64_t capacity);

  // Feeds one token; returns the logits [vocab] of the next, valid until the next call.
  const float* decode(std::int32_t token);

  // Feeds many tokens; returns their final hidden states [tokens][hidden], valid until the next call.
  const float* prefill(const std::vector<std::int32_t>& tokens);

  // Logits [vocab] of one final hidden state.
  const float* head(const float* hidden);

  std::int64_t length() const { return length_; }

  // Pretends that the context holds this many tokens (of zeros): for timing without a prefill.
  void assume_length(std::int64_t length) { length_ = length; }

 private:
  void decode_layer(std::size_t layer);
  void prefill_layer(std::size_t layer, std::int64_t tokens);
  void append_kv(std::size_t layer, const float* k, const float* v, std::int64_t position);
  KvSpan span(std::size_t layer, int head, std::int64_t rows) const;
  std::byte* kv_row(std::size_t layer, int head, bool is_v, std::int64_t position);

  const ModelWeights& weights_;
  ModelShape shape_;
  KvType type_;
  std::int64_t capacity_;
  std::int64_t length_ = 0;
  std::int64_t qkv_width_;
  std::vector<double> frequencies_;
  std::vector<std::byte> kv_;  // [layer][head][K, V][capacity][head_dim]
  std::vector<float> x_, normed_, qkv_, attended_, gate_up_, logits_, scratch_, cosine_, sine_;
};

}  // namespace hybridgen::kernels
