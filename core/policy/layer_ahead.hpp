// What the lookahead parts share: a mode per layer, the switches, and the parameters' declarations.
#pragma once

#include "core/policy/lookahead_part.hpp"
#include "core/policy/params.hpp"
#include "core/policy/part_context.hpp"

namespace hybridgen {

struct LayerAheadOptions {
  std::vector<LookaheadMode> modes;  // by layer
  bool fitted = false;
  bool corrects = false;
  std::vector<std::string> notes{};
};

class LayerAhead final : public LookaheadPart {
 public:
  explicit LayerAhead(LayerAheadOptions options) : options_(std::move(options)) {}
  LookaheadMode mode(int layer) const override { return options_.modes.at(static_cast<std::size_t>(layer)); }
  bool fitted() const override { return options_.fitted; }
  bool corrects() const override { return options_.corrects; }
  std::vector<std::string> notes() const override { return options_.notes; }

 private:
  LayerAheadOptions options_;
};

// The first layers, whose queries are not predicted: layer 0 has nothing in front of it.
ParamSpec lookahead_exempt_layers_param();
ParamSpec lookahead_predictor_param();
ParamSpec lookahead_correct_param();

// `mode` in every layer but the exempt ones.
std::vector<LookaheadMode> modes_of_layers(const PartContext& context, LookaheadMode mode);
// The parameter lookahead_predictor. BadInput where it says `fitted` and nothing was fitted to this model.
bool wants_fitted(const PartContext& context);
bool wants_correction(const PartContext& context);
// "1-3, 7": layers with this mode, for notes; "none".
std::string layers_with(const std::vector<LookaheadMode>& modes, LookaheadMode mode);

}  // namespace hybridgen
