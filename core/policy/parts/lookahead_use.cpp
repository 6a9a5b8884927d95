// lookahead: use (HybridGen as a public port reads it). The host works a layer ahead with predicted queries,
// and their logits enter the softmax. Fitted predictor and correction are ours.
#include "core/policy/layer_ahead.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {

PartEntry lookahead_use() {
  return {
      "use",
      "the host works a layer ahead: predicted logits enter the softmax (HybridGen)",
      {lookahead_exempt_layers_param(), lookahead_predictor_param(), lookahead_correct_param()},
      MakeLookahead([](const PartContext& context) -> std::unique_ptr<LookaheadPart> {
        return std::make_unique<LayerAhead>(LayerAheadOptions{
            modes_of_layers(context, LookaheadMode::use), wants_fitted(context), wants_correction(context)});
      })};
}

}  // namespace hybridgen
