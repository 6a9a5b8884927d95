// A long prompt goes through a layer's projections and its FFN in tiles of query tokens, so that what these
// work in (normed inputs, products, the FFN's inner width) does not grow with the prompt. The weights are
// read once per tile: a tile is long enough that its arithmetic takes far longer than that.
#pragma once

#include <algorithm>

#include "core/base/units.hpp"

namespace hybridgen {

inline constexpr Tokens kTileTokens = 4096;

constexpr std::int64_t tiles_of(Tokens tokens) {
  return (tokens + kTileTokens - 1) / kTileTokens;
}

// Calls each(first, count) for every tile, in order.
template <class Each>
void for_each_tile(Tokens tokens, const Each& each) {
  for (Tokens first = 0; first < tokens; first += kTileTokens) {
    each(first, std::min(kTileTokens, tokens - first));
  }
}

}  // namespace hybridgen
