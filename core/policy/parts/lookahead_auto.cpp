// lookahead: auto (ours). A layer uses predicted logits where the error that was measured when the predictor
// was fitted is within a bound; the other layers only choose with them. Without a measurement every layer
// chooses.
#include <sstream>

#include "core/policy/layer_ahead.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

std::unique_ptr<LookaheadPart> make(const PartContext& context) {
  LayerAheadOptions options;
  options.modes = modes_of_layers(context, LookaheadMode::choose);
  options.fitted = wants_fitted(context);
  options.corrects = wants_correction(context);
  const auto& errors = context.model.predictor.error_permille[options.fitted][options.corrects];
  const std::int64_t most = context.params.get("lookahead_most_error_permille");
  for (std::size_t layer = 0; layer < options.modes.size() && layer < errors.size(); ++layer) {
    const bool small = errors[layer] <= most;
    if (small && options.modes[layer] == LookaheadMode::choose) options.modes[layer] = LookaheadMode::use;
  }
  std::ostringstream modes;
  modes << "lookahead auto: layers " << layers_with(options.modes, LookaheadMode::use)
        << " use predicted logits, layers " << layers_with(options.modes, LookaheadMode::choose)
        << " choose with them, layers " << layers_with(options.modes, LookaheadMode::off)
        << " wait for the true query";
  options.notes.push_back(modes.str());
  if (errors.empty()) {
    options.notes.push_back("lookahead auto: nothing was measured of " + context.model.name +
                            " (its folder has no lookahead.safetensors), so no layer uses predicted logits; "
                            "`hybridgen fit-lookahead` measures them");
  }
  return std::make_unique<LayerAhead>(std::move(options));
}

}  // namespace

PartEntry lookahead_auto() {
  return {"auto",
          "use in the layers whose measured logit error is within a bound, choose in the others (ours)",
          {lookahead_exempt_layers_param(),
           lookahead_predictor_param(),
           lookahead_correct_param(),
           {"lookahead_most_error_permille",
            "largest error of a layer's predicted logits with which they are used, in thousandths of the "
            "logits' standard deviation",
            ParamKind::tokens, 0, 1'000'000, 150}},
          MakeLookahead(make)};
}

}  // namespace hybridgen
