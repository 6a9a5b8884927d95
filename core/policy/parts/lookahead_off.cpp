// lookahead: off. Every layer's host work waits for that layer's true query.
#include "core/policy/layer_ahead.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {

PartEntry lookahead_off() {
  return {"off",
          "the host waits for each layer's true query",
          {},
          MakeLookahead([](const PartContext& context) -> std::unique_ptr<LookaheadPart> {
            const auto layers = static_cast<std::size_t>(context.model.layers);
            return std::make_unique<LayerAhead>(
                LayerAheadOptions{std::vector<LookaheadMode>(layers, LookaheadMode::off)});
          })};
}

}  // namespace hybridgen
