// Bytes of one op, counted by the code that moves them, by channel. Never copied from the plan.
#pragma once

#include <vector>

#include "core/machine/machine.hpp"

namespace hybridgen {

class ByteCounter {
 public:
  // Adds into channel_bytes and, where given, tier_bytes: by id, owned by the caller, and nobody else writes
  // them meanwhile.
  ByteCounter(const Machine& machine, ProcessorId processor, std::vector<Bytes>& channel_bytes,
              std::vector<Bytes>* tier_bytes = nullptr)
      : machine_(machine), processor_(processor), channel_bytes_(channel_bytes), tier_bytes_(tier_bytes) {}

  // The op's processor read or wrote these bytes in place.
  void access(TierId tier, Bytes bytes) {
    for (const ChannelId id : machine_.access_path(processor_, tier)) channel_bytes_[id.index()] += bytes;
    touch(tier, bytes);
    total_ += bytes;
  }
  void copy(TierId from, TierId to, Bytes bytes) {
    for (const ChannelId id : machine_.copy_path(from, to)) channel_bytes_[id.index()] += bytes;
    touch(from, bytes);
    if (to != from) touch(to, bytes);
    total_ += bytes;
  }
  Bytes total() const { return total_; }

 private:
  void touch(TierId tier, Bytes bytes) {
    if (tier_bytes_ != nullptr) (*tier_bytes_)[tier.index()] += bytes;
  }

  const Machine& machine_;
  ProcessorId processor_;
  std::vector<Bytes>& channel_bytes_;
  std::vector<Bytes>* tier_bytes_;
  Bytes total_ = 0;
};

}  // namespace hybridgen
