// Who computes. A host device is a pinned CPU thread group that plays the GPU with an arena of its own.
#pragma once

#include <string>

#include "core/base/ids.hpp"

namespace hybridgen {

enum class ProcessorKind { gpu, cpu, host_device };
const char* name_of(ProcessorKind kind);

struct Processor {
  ProcessorId id;
  std::string name;
  ProcessorKind kind = ProcessorKind::cpu;
};

}  // namespace hybridgen
