// Why a split part chose what it chose: for people and files, never for a step.
#pragma once

#include "core/base/ids.hpp"
#include "core/base/units.hpp"

namespace hybridgen {

enum class SplitMove { keep, grow, shrink };
const char* name_of(SplitMove move);

// One decision of a scheduler about one request: the times that it compared, and where it went.
struct SplitNote {
  RequestId request;
  TimeNs host_ns = 0;    // of one step, as measured or believed
  TimeNs device_ns = 0;  // what it is held against
  SplitMove move = SplitMove::keep;
  Ppm ratio = 0;             // selected rows per query head over host tokens, from now on
  Tokens scan_cap = 0;       // newest host tokens scanned, from now on; 0: all
  Tokens device_tokens = 0;  // newest tokens on the device, from now on
};

}  // namespace hybridgen
