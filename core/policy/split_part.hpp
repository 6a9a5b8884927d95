// The part that divides tokens between device and host.
#pragma once

#include "core/policy/observation.hpp"

namespace hybridgen {

// How many of the newest tokens the device keeps.
class SplitPart {
 public:
  virtual ~SplitPart() = default;
  virtual Tokens device_tokens(const RequestView& request, const Estimator& estimator) = 0;
  virtual Tokens most_device_tokens() const = 0;  // an upper bound, for the memory plan
};

}  // namespace hybridgen
