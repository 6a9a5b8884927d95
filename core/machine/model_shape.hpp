// The sizes of a decoder-only transformer; all that scheduling needs to know of a model. What its layers
// compute stands in ModelBlocks.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/units.hpp"
#include "core/machine/model_blocks.hpp"
#include "core/machine/query_predictor.hpp"

namespace hybridgen {

// In memory: matrices (and tables, which are read by rows) fp16; vectors (norms, biases) fp32.
inline constexpr Bytes kWeightBytes = 2;
inline constexpr Bytes kVectorBytes = 4;

struct ModelShape {
  std::string name;
  int layers = 0;
  int hidden = 0;
  int query_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int ffn = 0;
  int vocab = 0;
  int max_context = 0;    // tokens
  double rope_theta = 0;  // base of the rotary frequencies; 0 where positions are learned
  double norm_eps = 0;
  bool tied_embeddings = false;
  ModelBlocks blocks = {};
  QueryPredictor predictor = {};  // where one was fitted to these weights

  int group() const { return query_heads / kv_heads; }  // query heads per KV head (GQA)
  std::int64_t q_width() const { return static_cast<std::int64_t>(query_heads) * head_dim; }
  std::int64_t kv_width() const { return static_cast<std::int64_t>(kv_heads) * head_dim; }
  std::int64_t qkv_width() const { return q_width() + 2 * kv_width(); }
  // Of the FFN's first product: gate and up, or up alone.
  std::int64_t ffn_in_width() const { return (blocks.ffn == FfnKind::swiglu ? 2LL : 1LL) * ffn; }
  // Rows of the learned position table; 0 where positions are computed.
  std::int64_t position_rows() const {
    return blocks.position == PositionKind::learned ? std::int64_t{max_context} + blocks.position_offset : 0;
  }

  // Elements of the projections, in the order of their use.
  std::int64_t qkv_weights() const { return hidden * qkv_width(); }
  std::int64_t out_weights() const { return hidden * q_width(); }
  std::int64_t ffn_weights() const { return hidden * (ffn_in_width() + ffn); }
  std::int64_t head_weights() const { return static_cast<std::int64_t>(vocab) * hidden; }
  std::int64_t position_weights() const { return position_rows() * hidden; }
  // Of their biases.
  std::int64_t qkv_biases() const { return blocks.qkv_bias ? qkv_width() : 0; }
  std::int64_t out_biases() const { return blocks.out_bias ? hidden : 0; }
  std::int64_t ffn_biases() const { return blocks.ffn_bias ? ffn_in_width() + hidden : 0; }
  // A layer norm has a weight and a bias per element; the norms of q and k are one head wide.
  std::int64_t norm_weights() const {
    const std::int64_t per_norm = (blocks.norm == NormKind::layer ? 2LL : 1LL) * hidden;
    return (2LL * layers + 1) * per_norm + (blocks.qk_norm ? 2LL * layers * head_dim : 0);
  }

  // Bytes that a product reads of its weights and biases.
  Bytes qkv_bytes() const { return kWeightBytes * qkv_weights() + kVectorBytes * qkv_biases(); }
  Bytes out_bytes() const { return kWeightBytes * out_weights() + kVectorBytes * out_biases(); }
  Bytes ffn_bytes() const { return kWeightBytes * ffn_weights() + kVectorBytes * ffn_biases(); }
  Bytes head_bytes() const { return kWeightBytes * head_weights(); }
  // That a prediction of a layer's queries reads: the q rows of its projection, and the fitted predictor's
  // two factors where it is used.
  Bytes q_bytes() const {
    return kWeightBytes * hidden * q_width() + (blocks.qkv_bias ? kVectorBytes * q_width() : 0);
  }
  std::int64_t predictor_weights() const { return predictor.rank * (hidden + q_width()); }
  Bytes predictor_bytes() const { return kWeightBytes * predictor_weights(); }  // of one layer
  // That the embedding of one token reads: its row, and its position's where positions are learned.
  Bytes embed_bytes() const {
    return kWeightBytes * hidden * (blocks.position == PositionKind::learned ? 2 : 1);
  }

  // Of all matrices held in memory: tied embeddings count once.
  std::int64_t matrix_weights() const {
    return layers * (qkv_weights() + out_weights() + ffn_weights()) + position_weights() +
           head_weights() * (tied_embeddings ? 1 : 2);
  }
  std::int64_t vector_weights() const {
    return norm_weights() + layers * (qkv_biases() + out_biases() + ffn_biases());
  }
  std::int64_t parameters() const { return matrix_weights() + vector_weights(); }
  Bytes weight_bytes() const { return kWeightBytes * matrix_weights() + kVectorBytes * vector_weights(); }
};

}  // namespace hybridgen
