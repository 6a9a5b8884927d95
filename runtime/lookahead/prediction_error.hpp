// How far predicted queries and their logits are off.
#pragma once

#include <array>
#include <vector>

#include "core/machine/model_shape.hpp"

namespace hybridgen {

struct PredictionError {
  double cosine = 1;                           // with the true query, mean over heads and tokens
  std::array<double, 2> error_permille{0, 0};  // of the host's logits: as they are, corrected by a line
};

// Over tokens from `first` on. A token's newest quarter of the context plays the device segment, on which the
// line is fitted; what lies between it and the first few tokens plays the host's. The error is the root mean
// square over host logits in thousandths of their standard deviation, per head, then over heads and tokens.
// queries, predicted: [tokens][q_width]; keys: [tokens][kv_width]; positions and norms applied.
PredictionError prediction_error(const ModelShape& shape, const std::vector<float>& queries,
                                 const std::vector<float>& predicted, const std::vector<float>& keys,
                                 Tokens first);

}  // namespace hybridgen
