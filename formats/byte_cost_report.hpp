// What a byte costs on a platform, from everywhere to everywhere.
#pragma once

#include <string>
#include <vector>

#include "core/base/units.hpp"

namespace hybridgen {

// Bytes between a processor and a memory that it reads or writes in place, or between two memories by a copy.
struct ByteCost {
  std::string from;        // a processor, or the memory that is copied from
  std::string to;          // a memory
  bool reachable = false;  // the rest means nothing where this is false
  double bytes_per_s = 0;  // of the narrowest on the way, alone
  std::string limited_by;  // a channel, "its kernels" (the fastest of the processor) or "copy engine"
  double fixed_ns = 0;     // before the first byte: launch, or the copy's own
  bool emulated = false;   // one of the memories stands in for hardware that is absent
  std::string note;        // what else a reader must know

  double ns(Bytes bytes) const { return fixed_ns + static_cast<double>(bytes) / bytes_per_s * 1e9; }
};

struct ByteCostReport {
  struct Memory {
    std::string name;
    std::string kind;
    Bytes capacity = 0;
    bool emulated = false;
  };
  std::string platform;
  std::vector<Memory> memories;
  std::vector<ByteCost> in_place;  // every processor with every memory
  std::vector<ByteCost> copies;    // every memory with every other
};

}  // namespace hybridgen
