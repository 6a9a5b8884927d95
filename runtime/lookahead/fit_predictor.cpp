#include "runtime/lookahead/fit_predictor.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "core/base/check.hpp"
#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/lookahead/layer_queries.hpp"
#include "runtime/lookahead/prediction_error.hpp"
#include "runtime/lookahead/ridge_fit.hpp"

namespace hybridgen {
namespace {

using kernels::Half;

std::vector<Half> halves(const std::vector<float>& values) {
  std::vector<Half> out(values.size());
  kernels::convert(values.data(), out.data(), static_cast<std::int64_t>(values.size()));
  return out;
}

// y[tokens][rows] = x[tokens][cols] . W^T
std::vector<float> product(const std::vector<Half>& weights, const std::vector<float>& x, Tokens tokens,
                           std::int64_t rows, std::int64_t cols) {
  std::vector<float> y(static_cast<std::size_t>(tokens * rows));
  std::vector<float> scratch(static_cast<std::size_t>(kernels::gemm_scratch(cols)));
  kernels::gemm_f16(weights.data(), x.data(), cols, tokens, 0, rows, cols, y.data(), rows, scratch.data());
  return y;
}

FittedLayer fit_layer(const HostModel& model, int layer, const std::vector<std::vector<float>>& inputs,
                      const PredictorFitOptions& options) {
  const ModelShape& shape = model.shape;
  const auto index = static_cast<std::size_t>(layer);
  const LayerQueries queries(model, layer, inputs[index], inputs[index - 1]);
  const std::vector<float> missing = queries.missing();
  const LowRank low = ridge_fit(
      {options.fit_tokens, shape.hidden, shape.q_width(), queries.normed_before().data(), missing.data()},
      options.rank, options.ridge);
  FittedLayer fitted;
  fitted.down = halves(low.down);
  fitted.up = halves(low.up);
  const std::vector<float> inner =
      product(fitted.down, queries.normed_before(), queries.tokens(), options.rank, shape.hidden);
  const std::vector<float> added = product(fitted.up, inner, queries.tokens(), shape.q_width(), options.rank);
  const std::vector<float> exact = queries.true_queries();
  const std::vector<float> keys = queries.keys();
  for (const std::size_t with : {std::size_t{0}, std::size_t{1}}) {
    const std::vector<float> predicted = queries.predicted_queries(with == 1 ? added : std::vector<float>());
    const PredictionError error = prediction_error(shape, exact, predicted, keys, options.fit_tokens);
    fitted.cosine[with] = error.cosine;
    fitted.error_permille[with] = error.error_permille;
  }
  return fitted;
}

}  // namespace

std::vector<FittedLayer> fit_predictor(const HostModel& model, const std::vector<std::vector<float>>& inputs,
                                       const PredictorFitOptions& options, int threads) {
  HG_CHECK(inputs.size() == static_cast<std::size_t>(model.shape.layers), "inputs of " << inputs.size());
  std::vector<FittedLayer> layers(inputs.size());
  std::atomic<int> next{1};
  std::mutex mutex;  // of the progress
  int done = 1;
  const auto work = [&] {
    for (int layer = next++; layer < model.shape.layers; layer = next++) {
      layers[static_cast<std::size_t>(layer)] = fit_layer(model, layer, inputs, options);
      const std::scoped_lock lock(mutex);
      ++done;
      if (options.progress) options.progress(done, model.shape.layers);
    }
  };
  {
    std::vector<std::jthread> team;
    for (int i = 1; i < threads; ++i) team.emplace_back(work);
    work();
  }
  return layers;
}

}  // namespace hybridgen
