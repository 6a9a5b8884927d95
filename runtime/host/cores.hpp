// The processor cores of this machine, as far as this process may use them (hwloc).
#pragma once

#include "core/base/units.hpp"

namespace hybridgen {

int usable_cores();
// Bytes of memory in this machine.
Bytes usable_memory();
// Binds the calling thread to one core. False where the operating system refuses; timings then say so.
bool pin_to_core(int core);

}  // namespace hybridgen
