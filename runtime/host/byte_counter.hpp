// Bytes of one op, counted by the code that moves them, by channel. Never copied from the plan.
#pragma once

#include <vector>

#include "core/machine/machine.hpp"

namespace hybridgen {

class ByteCounter {
 public:
  // Adds into channel_bytes, which the caller owns and which nobody else writes meanwhile.
  ByteCounter(const Machine& machine, ProcessorId processor, std::vector<Bytes>& channel_bytes)
      : machine_(machine), processor_(processor), channel_bytes_(channel_bytes) {}

  // The op's processor read or wrote these bytes in place.
  void access(TierId tier, Bytes bytes) {
    for (const ChannelId id : machine_.access_path(processor_, tier)) channel_bytes_[id.index()] += bytes;
    total_ += bytes;
  }
  void copy(TierId from, TierId to, Bytes bytes) {
    for (const ChannelId id : machine_.copy_path(from, to)) channel_bytes_[id.index()] += bytes;
    total_ += bytes;
  }
  Bytes total() const { return total_; }

 private:
  const Machine& machine_;
  ProcessorId processor_;
  std::vector<Bytes>& channel_bytes_;
  Bytes total_ = 0;
};

}  // namespace hybridgen
