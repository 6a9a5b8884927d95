// Which cores and memories this machine has, as far as this process may use them.
#pragma once

#include <string>
#include <vector>

#include "core/base/units.hpp"

namespace hybridgen {

struct MemoryNode {
  int node = -1;           // NUMA node; -1 where the system knows none and all memory is one
  std::vector<int> cores;  // as pin_to_core counts them; empty: an expander, or a node of memory alone
  Bytes free = 0;          // 0 where the system does not say
};

struct Topology {
  std::string processor;          // as the operating system calls it
  std::vector<MemoryNode> nodes;  // at least one; those with cores first
  Bytes last_cache = 0;           // of one, in bytes; 0: unknown
  Bytes memory = 0;
};

Topology read_topology();
// One line per node.
std::string describe(const Topology& topology);

}  // namespace hybridgen
