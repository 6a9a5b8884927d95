// Fits what a model's own q projection misses when its input is the one of the layer before, and measures how
// far predicted queries and their logits are off, on tokens that the fit has not seen.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/base/units.hpp"
#include "runtime/host/host_model.hpp"

namespace hybridgen {

struct PredictorFitOptions {
  std::int64_t rank = 32;
  double ridge = 0.01;    // of the mean diagonal
  Tokens fit_tokens = 0;  // the first so many; the others are held out, to measure on
  std::function<void(int done, int layers)> progress;
};

// One layer's fit and what it is worth. [0] of a pair: the plain projection, uncorrected; [1]: fitted,
// corrected by a line as a step does it.
struct FittedLayer {
  std::vector<kernels::Half> down;                          // [rank][hidden]
  std::vector<kernels::Half> up;                            // [q_width][rank]
  std::array<double, 2> cosine{1, 1};                       // with the true query, mean over heads
  std::array<std::array<double, 2>, 2> error_permille{{}};  // [fitted][corrected], as QueryPredictor has it
};

// The input of every layer, by layer: [tokens][hidden], as dense attention has it. The model runs once, on
// the host executor, with these threads.
std::vector<std::vector<float>> layer_inputs(const std::shared_ptr<const HostModel>& model,
                                             const std::vector<std::int32_t>& ids, int threads);

// By layer; layer 0 has nothing in front of it and stays empty. Layers are shared out over the threads.
std::vector<FittedLayer> fit_predictor(const HostModel& model, const std::vector<std::vector<float>>& inputs,
                                       const PredictorFitOptions& options, int threads);

}  // namespace hybridgen
