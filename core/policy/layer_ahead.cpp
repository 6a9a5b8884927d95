#include "core/policy/layer_ahead.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace hybridgen {

const char* name_of(LookaheadMode mode) {
  switch (mode) {
    case LookaheadMode::off:
      return "off";
    case LookaheadMode::choose:
      return "choose";
    case LookaheadMode::use:
      return "use";
  }
  return "?";
}

ParamSpec lookahead_exempt_layers_param() {
  return {"lookahead_exempt_layers",
          "first layers that wait for their true query; layer 0 always does",
          ParamKind::tokens,
          1,
          1'000'000,
          1};
}

ParamSpec lookahead_predictor_param() {
  return {"lookahead_predictor",
          "the model's own q projection, or with what `hybridgen fit-lookahead` fitted added to it",
          ParamKind::choice,
          0,
          1,
          {},
          {"plain", "fitted"}};
}

ParamSpec lookahead_correct_param() {
  return {
      "lookahead_correct",
      "whether a slope and a shift per query head, fitted on the device segment in each step, correct the "
      "predicted logits that enter",
      ParamKind::choice,
      0,
      1,
      {},
      {"no", "yes"}};
}

std::vector<LookaheadMode> modes_of_layers(const PartContext& context, LookaheadMode mode) {
  std::vector<LookaheadMode> modes(static_cast<std::size_t>(context.model.layers), mode);
  const auto exempt = static_cast<std::size_t>(context.params.get("lookahead_exempt_layers"));
  std::fill_n(modes.begin(), std::min(exempt, modes.size()), LookaheadMode::off);
  return modes;
}

bool wants_fitted(const PartContext& context) {
  const bool fitted = context.params.get("lookahead_predictor") == 1;
  if (fitted && !context.model.predictor.present()) {
    throw BadInput("lookahead_predictor: fitted, but nothing was fitted to " + context.model.name +
                   ": its folder has no lookahead.safetensors; run `hybridgen fit-lookahead`, or use "
                   "lookahead_predictor: plain");
  }
  return fitted;
}

bool wants_correction(const PartContext& context) {
  return context.params.get("lookahead_correct") == 1;
}

std::string layers_with(const std::vector<LookaheadMode>& modes, LookaheadMode mode) {
  std::string text;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    if (modes[i] != mode) continue;
    std::size_t last = i;
    while (last + 1 < modes.size() && modes[last + 1] == mode) ++last;
    if (!text.empty()) text += ", ";
    text += std::to_string(i);
    if (last > i) text.append("-").append(std::to_string(last));
    i = last;
  }
  return text.empty() ? "none" : text;
}

}  // namespace hybridgen
