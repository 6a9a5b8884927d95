// A layer's queries and keys over a text, true and predicted, as attention uses them.
#pragma once

#include <vector>

#include "core/base/units.hpp"
#include "runtime/host/host_model.hpp"

namespace hybridgen {

// Row-major, [tokens][width].
class LayerQueries {
 public:
  // own: the layer's input, [tokens][hidden]; before: the input of the layer before it.
  LayerQueries(const HostModel& model, int layer, const std::vector<float>& own,
               const std::vector<float>& before);

  Tokens tokens() const { return tokens_; }
  // The input of the layer before through this layer's norm, [hidden].
  const std::vector<float>& normed_before() const { return before_; }
  // What the projection of `before` misses of the projection of `own`, before norms of heads and positions:
  // [q_width].
  std::vector<float> missing() const;
  // q of every token with its norm and position: true, or predicted by the plain projection, to which `added`
  // is added where it is not empty: [q_width].
  std::vector<float> true_queries() const;
  std::vector<float> predicted_queries(const std::vector<float>& added) const;
  std::vector<float> keys() const;  // [kv_width]

 private:
  std::vector<float> normed(const std::vector<float>& hidden) const;
  std::vector<float> projected(const std::vector<float>& x, std::int64_t first, std::int64_t rows) const;
  void finish(std::vector<float>& x, int heads, const float* norm) const;

  const ModelShape& shape_;
  const LayerWeights& weights_;
  Tokens tokens_;
  std::vector<float> own_, before_;  // normed
};

}  // namespace hybridgen
