// What a recorded real run says of selections: its outcomes, each with what was chosen from what.
#pragma once

#include <string>
#include <vector>

#include "core/driver/timeline.hpp"
#include "core/policy/policy.hpp"
#include "sim/world/selection.hpp"

namespace hybridgen {

struct RecordedSelection {
  Selection selection;
  RequestId request;
  std::int64_t step = 0;
  std::int64_t least = 0;
  std::int64_t bound = 0;
  std::int64_t count = 0;
};

// One run under one policy.
struct RecordedRun {
  std::string name;  // for messages
  std::vector<RecordedSelection> selections;
  std::int64_t may_end = 0;  // end-of-sequence outcomes, and how many of them came true
  std::int64_t ended = 0;
};

// The outcomes of a recorded run with the selections that they are of: its steps are built anew. BadInput
// where the record is not of such steps.
RecordedRun recorded_run(const std::string& name, const Policy& policy, const ModelShape& model,
                         const Timeline& timeline);

}  // namespace hybridgen
