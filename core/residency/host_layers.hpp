// Which memory holds the host segment's K of each layer, or its V: one memory the first layers', and where
// that has no room for all of them, another the others'.
#pragma once

#include <algorithm>
#include <array>

#include "core/base/ids.hpp"

namespace hybridgen {

struct HostLayers {
  TierId tier;              // invalid where no token ever lies on the host
  TierId overflow;          // invalid where all layers lie in the first
  int before_overflow = 0;  // layers in the first, where there is another

  TierId of(int layer) const { return overflow.valid() && layer >= before_overflow ? overflow : tier; }

  struct Share {
    TierId tier;
    int first;  // layer
    int layers;

    // How many of these are among the last `count` of `all` layers.
    int of_the_last(int count, int all) const {
      return std::clamp(first + layers - (all - count), 0, layers);
    }
  };
  // Of a model with so many layers. The second is none of them where nothing overflows.
  std::array<Share, 2> shares(int layers) const {
    const int first = overflow.valid() ? std::min(before_overflow, layers) : layers;
    return {{{tier, 0, first}, {overflow, first, layers - first}}};
  }
};

}  // namespace hybridgen
