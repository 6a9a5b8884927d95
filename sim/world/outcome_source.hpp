// Where a simulated run's outcome counts come from. Every result names its source.
#pragma once

#include <cstdint>
#include <string>

#include "core/step/step.hpp"

namespace hybridgen {

class OutcomeSource {
 public:
  virtual ~OutcomeSource() = default;
  virtual std::string name() const = 0;  // "fixed", "recorded", "seeded", "locality (fitted on ...)"
  // Within [least, bound] of the outcome. Deterministic in its arguments and the source's own seed or file.
  virtual std::int64_t count(const Step& step, const Outcome& outcome) = 0;
};

}  // namespace hybridgen
