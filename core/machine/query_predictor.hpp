// What scheduling needs to know of a fitted predictor of queries, which lies beside a model's weights: how
// large it is, and how far the logits of predicted queries are off. Made by hybridgen fit-lookahead.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace hybridgen {

struct QueryPredictor {
  int rank = 0;  // of what is added to a layer's q projection; 0: nothing was fitted

  // By layer: root mean square error of the host's logits in thousandths of their standard deviation, as
  // measured when the predictor was fitted. Index: whether the fitted predictor is used, whether its logits
  // are corrected. Layer 0 is never predicted and has 0.
  std::array<std::array<std::vector<std::int64_t>, 2>, 2> error_permille;

  bool present() const { return rank > 0; }
};

}  // namespace hybridgen
