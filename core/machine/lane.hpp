// Who executes ops, in order: a CUDA stream, a pinned thread group, a copy engine.
#pragma once

#include <string>

#include "core/base/ids.hpp"

namespace hybridgen {

struct Lane {
  LaneId id;
  std::string name;
  ProcessorId processor;  // whose kernel costs hold for this lane
  int threads = 1;        // of a CPU lane; 0 for a stream or a copy engine
  int first_core = 0;     // of a CPU lane: pinned to cores [first_core, first_core + threads)
};

// What a policy asks a lane for. Several roles may share one lane: with two cores the copies are work of the
// host's thread group.
enum class Role { device, host, h2d, d2h };
inline constexpr int kRoles = 4;
const char* name_of(Role role);

}  // namespace hybridgen
