// Which row of a full host pool makes room for a new one (InfiniGen).
#pragma once

namespace hybridgen {

enum class PoolEviction {
  fifo,     // the oldest
  lru,      // the longest unread, among the older half of the positions
  counter,  // the least often read, among the older half of the positions
};

}  // namespace hybridgen
