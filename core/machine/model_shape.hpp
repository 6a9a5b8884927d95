// The sizes of a decoder-only transformer; all that scheduling needs to know of a model.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/units.hpp"

namespace hybridgen {

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
  double rope_theta = 0;  // base of the rotary frequencies
  double rms_eps = 0;
  bool tied_embeddings = false;

  int group() const { return query_heads / kv_heads; }  // query heads per KV head (GQA)
  std::int64_t q_width() const { return static_cast<std::int64_t>(query_heads) * head_dim; }
  std::int64_t kv_width() const { return static_cast<std::int64_t>(kv_heads) * head_dim; }

  // K or V of one token in one layer, all KV heads.
  Bytes kv_row_bytes(Bytes bytes_per_element) const { return kv_width() * bytes_per_element; }

  // Elements of the projections, in the order of their use.
  std::int64_t qkv_weights() const { return hidden * (q_width() + 2 * kv_width()); }
  std::int64_t out_weights() const { return hidden * q_width(); }
  std::int64_t ffn_weights() const { return 3LL * hidden * ffn; }  // gate, up, down
  std::int64_t head_weights() const { return static_cast<std::int64_t>(vocab) * hidden; }
  std::int64_t norm_weights() const { return (2LL * layers + 1) * hidden; }
  // Of all matrices held in memory: tied embeddings count once.
  std::int64_t matrix_weights() const {
    return layers * (qkv_weights() + out_weights() + ffn_weights()) +
           head_weights() * (tied_embeddings ? 1 : 2);
  }
  std::int64_t parameters() const { return matrix_weights() + norm_weights(); }
  // In memory: matrices fp16, norms fp32.
  Bytes weight_bytes() const { return 2 * matrix_weights() + 4 * norm_weights(); }
};

}  // namespace hybridgen
