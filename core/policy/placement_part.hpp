// The part that chooses memories on the host's side.
#pragma once

#include "core/base/ids.hpp"

namespace hybridgen {

// Where the host segment's K and V lie.
class PlacementPart {
 public:
  virtual ~PlacementPart() = default;
  virtual TierId host_k() const = 0;
  virtual TierId host_v() const = 0;
};

}  // namespace hybridgen
