// The processor cores of this machine, as far as this process may use them (hwloc).
#pragma once

#include "core/base/units.hpp"

struct hwloc_bitmap_s;

namespace hybridgen {

int usable_cores();
// Bytes of memory in this machine.
Bytes usable_memory();
// Bytes of the largest cache that a core reaches; 0 where the system does not say.
Bytes last_cache_bytes();
// The NUMA node that a core is nearest to; -1 where the system knows none.
int node_of_core(int core);
// Binds the calling thread to one core. False where the operating system refuses; timings then say so.
bool pin_to_core(int core);

// While it lives the calling thread stays off cores [first, first + count), where pinned threads work: one
// that lands beside a pinned thread takes half of its core until the system notices, which can take a second.
// Does nothing where the thread would have no core left.
class OffCores {
 public:
  OffCores(int first, int count);
  OffCores(const OffCores&) = delete;
  OffCores& operator=(const OffCores&) = delete;
  ~OffCores();

 private:
  hwloc_bitmap_s* before_ = nullptr;  // null: nothing to restore
};

}  // namespace hybridgen
