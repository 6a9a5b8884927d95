// A memory that holds weights or KV.
#pragma once

#include <string>

#include "core/base/ids.hpp"
#include "core/base/units.hpp"

namespace hybridgen {

enum class TierKind { hbm, dram, cxl, disk };
const char* name_of(TierKind kind);

struct Tier {
  TierId id;
  std::string name;
  TierKind kind = TierKind::dram;
  Bytes capacity = 0;
  ChannelId channel;      // what every access to this memory shares
  bool emulated = false;  // stands in for hardware this machine lacks; every result that used it says so
};

}  // namespace hybridgen
