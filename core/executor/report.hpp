// What an executor says of a finished step. The scheduler learns from it, files are written from it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/units.hpp"

namespace hybridgen {

struct OpRecord {
  OpId op;
  TimeNs start = 0;  // since the start of the run
  TimeNs end = 0;
  Bytes bytes = 0;  // moved by the op over all its accesses and copies; counted where moved in a real run
};

struct Report {
  StepId step;
  TimeNs start = 0;                    // when the step was taken up
  TimeNs end = 0;                      // when its last op ended
  std::vector<OpRecord> records;       // by op id
  std::vector<std::int64_t> outcomes;  // by outcome id
  std::vector<Bytes> channel_bytes;    // by channel id
};

}  // namespace hybridgen
