// A memory that holds weights or KV.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/units.hpp"

namespace hybridgen {

// interleaved: no memory of its own; its pages alternate between other tiers.
enum class TierKind { hbm, dram, cxl, disk, interleaved };
const char* name_of(TierKind kind);

struct Tier {
  TierId id;
  std::string name;
  TierKind kind = TierKind::dram;
  Bytes capacity = 0;
  ChannelId channel;         // what every access to this memory shares
  bool emulated = false;     // stands in for hardware this machine lacks; every result that used it says so
  int numa_node = -1;        // of a real machine: where its pages lie; -1: wherever the system puts them
  std::vector<TierId> over;  // of an interleaved tier: the tiers that get its pages in turn
};

}  // namespace hybridgen
