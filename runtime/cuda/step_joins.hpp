// Who waits for whom when a step's ops are handed to streams and to the CPU lane, read off the dependencies
// once per step structure. Streams join each other by events, a stream and the CPU lane by flags in mapped
// memory.
#pragma once

#include <vector>

#include "core/machine/machine.hpp"
#include "core/step/step.hpp"

namespace hybridgen::cuda {

inline constexpr int kHostLane = -1;

struct OpJoins {
  int stream = kHostLane;         // which of the step's streams enqueues the op
  std::vector<OpId> event_waits;  // ops of other streams, whose events the op's stream waits for first
  std::vector<OpId> flag_waits;   // a stream's op: host ops; a host op: streams' ops
  bool raises_flag = false;       // somebody waits for this op's flag
  bool records_event = false;     // another stream waits for this op's event, which lies behind its flag
};

struct StepJoins {
  std::vector<LaneId> streams;  // the lane of each; that of the device role is the first
  std::vector<OpJoins> ops;     // by op id
  std::vector<OpId> last_of;    // by stream: its last op; invalid where the step has none on it
};

// A stream that waits for a flag spins on the card. It must not hold a place that the flag's own causes need,
// in whatever order a graph lays its nodes out: so it first waits for the events of everything on the streams
// that the awaited host op, or an earlier op of the host lane, depends on. host_lane: the lane of the host
// role.
StepJoins joins_of(const Step& step, const Machine& machine);

}  // namespace hybridgen::cuda
