// Something shared while executing: a memory's bandwidth, one direction of a link, a duplex limit.
#pragma once

#include <string>

#include "core/base/ids.hpp"

namespace hybridgen {

enum class ChannelKind { memory, link, duplex };
const char* name_of(ChannelKind kind);

struct Channel {
  ChannelId id;
  std::string name;
  ChannelKind kind = ChannelKind::memory;
  double bytes_per_s = 0;  // what all its users get together
};

}  // namespace hybridgen
