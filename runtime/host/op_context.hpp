// Where an op runs and what it counts into.
#pragma once

#include "core/step/step.hpp"
#include "runtime/host/byte_counter.hpp"
#include "runtime/host/team.hpp"

namespace hybridgen {

struct OpContext {
  const Step& step;
  const Op& op;
  Team& team;
  ByteCounter& bytes;
};

}  // namespace hybridgen
