// The records of a run: what the driver leaves behind for files, pictures, validation and replay.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/executor/report.hpp"
#include "core/policy/decision.hpp"
#include "core/step/step.hpp"

namespace hybridgen {

// One op as planned (kind, lane, layer, request) and as it happened.
struct OpEvent {
  OpId op;
  OpKind kind = OpKind::embed;
  LaneId lane;
  std::int32_t layer = -1;
  RequestId request;
  TimeNs start = 0;
  TimeNs end = 0;
  Bytes bytes = 0;
};

struct OutcomeEvent {
  OutcomeKind kind = OutcomeKind::selected_rows;
  RequestId request;
  std::int32_t layer = -1;
  std::int64_t bound = 0;
  std::int64_t count = 0;
};

struct StepEvent {
  Decision decision;
  std::uint64_t structure = 0;  // structure hash
  TimeNs start = 0;
  TimeNs end = 0;
  std::vector<OpEvent> ops;
  std::vector<OutcomeEvent> outcomes;
  std::vector<Bytes> channel_bytes;  // by channel id
};

struct Timeline {
  std::vector<StepEvent> steps;
  std::vector<Bytes> tier_peak_bytes;  // by tier id
  std::string decision_hash;           // sixteen hexadecimal digits
};

}  // namespace hybridgen
