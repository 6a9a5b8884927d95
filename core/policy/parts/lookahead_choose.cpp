// lookahead: choose. The host works a layer ahead with predicted queries; they only choose. The chosen rows'
// K goes up beside their V and the device computes the logits that enter: exact where all rows are chosen.
#include "core/policy/layer_ahead.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {

PartEntry lookahead_choose() {
  ParamSpec predictor = lookahead_predictor_param();
  predictor.otherwise = 0;
  return {"choose",
          "the host works a layer ahead: predicted logits choose, exact ones enter the softmax",
          {lookahead_exempt_layers_param(), predictor},
          MakeLookahead([](const PartContext& context) -> std::unique_ptr<LookaheadPart> {
            return std::make_unique<LayerAhead>(LayerAheadOptions{
                modes_of_layers(context, LookaheadMode::choose), wants_fitted(context), false});
          })};
}

}  // namespace hybridgen
