// What a stream computes beside attention: the layers of the transformer.
#include "runtime/cuda/gpu_ops.hpp"

#include "core/base/check.hpp"
#include "core/machine/tiles.hpp"
#include "runtime/cuda/kernels/activate.cuh"
#include "runtime/cuda/kernels/argmax.cuh"
#include "runtime/cuda/kernels/embed.cuh"
#include "runtime/cuda/kernels/gemm.cuh"
#include "runtime/cuda/kernels/gemv.cuh"
#include "runtime/cuda/kernels/norm.cuh"
#include "runtime/cuda/kernels/rope_store.cuh"

namespace hybridgen::cuda {

void GpuOps::embed_rows(Tokens tokens, cudaStream_t stream) const {
  const bool rotary = shape_.blocks.position == PositionKind::rotary;
  embed({state_.params.step, state_.params.rows, state_.tokens, state_.token_stride, weights_.embedding,
         shape_.hidden, shape_.head_dim, rotary ? state_.frequencies : nullptr, weights_.positions,
         shape_.blocks.position_offset, state_.hidden, state_.cosine, state_.sine},
        tokens, stream);
}

// A tile of query tokens, or the last one of every row.
void GpuOps::norm(const NormWeights& weights, Tokens first, const RowParams* last_of_rows, Tokens tokens,
                  cudaStream_t stream) const {
  cuda::norm({state_.hidden + first * shape_.hidden, weights.weight, weights.bias, state_.normed,
              shape_.hidden, static_cast<float>(shape_.norm_eps), last_of_rows},
             tokens, stream);
}

void GpuOps::multiply(const MatrixArgs& args, Tokens tokens, cudaStream_t stream) const {
  if (tokens <= kMostGemvTokens) {
    gemv(args, {}, static_cast<int>(tokens), stream);
  } else {
    gemm(args, tokens, stream);
  }
}

// The product with a tile of hidden states behind their norm; args.x is not looked at.
void GpuOps::multiply_normed(const NormWeights& weights, Tokens first, MatrixArgs args, Tokens tokens,
                             cudaStream_t stream) const {
  args.x = state_.normed;
  args.x_stride = shape_.hidden;
  if (tokens > kMostGemvTokens || weights.bias != nullptr) {
    norm(weights, first, nullptr, tokens, stream);
    return multiply(args, tokens, stream);
  }
  args.x = state_.hidden + first * shape_.hidden;
  gemv(args, {GemvInput::Kind::normed, weights.weight, static_cast<float>(shape_.norm_eps)},
       static_cast<int>(tokens), stream);
}

// The product behind the activation, of a tile of ffn_in.
void GpuOps::multiply_activated(const MatrixArgs& args, Tokens tokens, cudaStream_t stream) const {
  const bool gated = shape_.blocks.ffn == FfnKind::swiglu;
  if (gated && tokens <= kMostGemvTokens)
    return gemv(args, {GemvInput::Kind::gated}, static_cast<int>(tokens), stream);
  gated ? swiglu(state_.ffn_in, shape_.ffn, tokens, stream) : relu(state_.ffn_in, shape_.ffn, tokens, stream);
  multiply(args, tokens, stream);
}

void GpuOps::norm_qkv(const Op& op, Tokens tokens, cudaStream_t stream) const {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(op.layer));
  for_each_tile(tokens, [&](Tokens first, Tokens count) {
    multiply_normed(layer.attention_norm, first,
                    {layer.qkv.matrix, static_cast<int>(state_.qkv_width), shape_.hidden, nullptr, 0,
                     state_.qkv + first * state_.qkv_width, state_.qkv_width, nullptr, layer.qkv.bias},
                    count, stream);
  });
  const bool rotary = shape_.blocks.position == PositionKind::rotary;
  const bool kept = op.work.kv == KvPlace::kept;
  rope_store(
      {state_.params.step, state_.params.rows, state_.stores(op.work.kv, op.layer, op.work.buffer), heads_,
       kv_type_, state_.qkv, rotary ? state_.cosine : nullptr, state_.sine, layer.q_norm, layer.k_norm,
       static_cast<float>(shape_.norm_eps), kept ? state_.kept(0, op.layer).next : nullptr},
      tokens, stream);
}

void GpuOps::project_out(const Op& op, Tokens tokens, cudaStream_t stream) const {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(op.layer));
  for_each_tile(tokens, [&](Tokens first, Tokens count) {
    float* hidden = state_.hidden + first * shape_.hidden;
    multiply({layer.attention_out.matrix, shape_.hidden, static_cast<int>(shape_.q_width()),
              state_.attended + first * shape_.q_width(), shape_.q_width(), hidden, shape_.hidden, hidden,
              layer.attention_out.bias},
             count, stream);
  });
}

void GpuOps::ffn(const Op& op, Tokens tokens, cudaStream_t stream) const {
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(op.layer));
  const std::int64_t width = shape_.ffn_in_width();
  for_each_tile(tokens, [&](Tokens first, Tokens count) {
    float* hidden = state_.hidden + first * shape_.hidden;
    multiply_normed(layer.ffn_norm, first,
                    {layer.ffn_in.matrix, static_cast<int>(width), shape_.hidden, nullptr, 0, state_.ffn_in,
                     width, nullptr, layer.ffn_in.bias},
                    count, stream);
    multiply_activated({layer.down.matrix, shape_.hidden, shape_.ffn, state_.ffn_in, width, hidden,
                        shape_.hidden, hidden, layer.down.bias},
                       count, stream);
  });
}

void GpuOps::lm_head(const Step& step, cudaStream_t stream) const {
  const auto rows = static_cast<Tokens>(step.batch.size());
  norm(weights_.final_norm, 0, state_.params.rows, rows, stream);
  multiply({weights_.output, shape_.vocab, shape_.hidden, state_.normed, shape_.hidden, state_.logits,
            shape_.vocab, nullptr, nullptr},
           rows, stream);
}

void GpuOps::sample(const Step& step, const Op& op, cudaStream_t stream) const {
  const RowPlace place = place_of(step, op);
  const auto request = static_cast<std::int64_t>(op.request.index());
  const float* logits = state_.logits + static_cast<std::int64_t>(place.row) * shape_.vocab;
  const std::int32_t* forced = state_.forced ? state_.forced + request * state_.forced_stride : nullptr;
  argmax({params_of(op), logits, shape_.vocab, forced, state_.tokens + request * state_.token_stride,
          state_.sampled + request},
         stream);
  if (state_.host_logits == nullptr) return;
  check(
      cudaMemcpyAsync(state_.host_logits + request * shape_.vocab, logits,
                      static_cast<std::size_t>(shape_.vocab) * sizeof(float), cudaMemcpyDeviceToHost, stream),
      "logits to the host");
}

// The hidden states are still the input of the layer before the op's.
void GpuOps::predict(const Op& op, Tokens tokens, cudaStream_t stream) const {
  HG_CHECK(tokens <= static_cast<Tokens>(slots_.size()),
           "op " << op.id.value << ": a prompt predicts nothing");
  const LayerWeights& layer = weights_.layers.at(static_cast<std::size_t>(op.layer));
  const auto normed_by = static_cast<std::size_t>(op.layer - (lookahead_.own_norm ? 1 : 0));
  const auto width = static_cast<int>(shape_.q_width());
  float* predicted = state_.predicted[op.work.buffer];
  norm(weights_.layers.at(normed_by).attention_norm, 0, nullptr, tokens, stream);
  // q's rows are the first.
  multiply({layer.qkv.matrix, width, shape_.hidden, state_.normed, shape_.hidden, predicted, width, nullptr,
            layer.qkv.bias},
           tokens, stream);
  if (lookahead_.fitted) {
    const auto rank = static_cast<int>(shape_.predictor.rank);
    HG_CHECK(layer.predictor.down != nullptr, "layer " << op.layer << " has no fitted predictor");
    multiply({layer.predictor.down, rank, shape_.hidden, state_.normed, shape_.hidden, state_.low_rank, rank},
             tokens, stream);
    multiply({layer.predictor.up, width, rank, state_.low_rank, rank, predicted, width, predicted}, tokens,
             stream);
  }
  const bool rotary = shape_.blocks.position == PositionKind::rotary;
  rope_store({state_.params.step,
              state_.params.rows,
              nullptr,
              {shape_.query_heads, 0, shape_.head_dim},
              kv_type_,
              predicted,
              rotary ? state_.cosine : nullptr,
              state_.sine,
              layer.q_norm,
              layer.k_norm,
              static_cast<float>(shape_.norm_eps)},
             tokens, stream);
}

}  // namespace hybridgen::cuda
