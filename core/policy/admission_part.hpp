// The part that chooses when waiting requests start.
#pragma once

#include "core/policy/observation.hpp"

namespace hybridgen {

// Whether a waiting request may take a free slot at this step. Which one and which slot is the policy's: the
// first in line, into the smallest slot that is large enough.
class AdmissionPart {
 public:
  virtual ~AdmissionPart() = default;
  virtual bool admits(const Observation& observation) const = 0;
};

}  // namespace hybridgen
