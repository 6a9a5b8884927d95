// The memory of one NUMA node that a survey works on.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/calibrate/survey.hpp"

namespace hybridgen {

struct Survey::Node {
  Node(const MemoryNode& where, Bytes bytes);

  // Where the next window of so many bytes lies, round and round, so that none is in a cache: of the whole
  // arena, or of the part of one thread of several.
  Bytes next_window(Bytes window, Bytes part) {
    const Bytes from = next_ + window > part ? 0 : next_;
    next_ = from + window;
    return from;
  }

  MemoryNode place;
  TierMemory memory;
  Bytes size;            // of arena and of sink
  std::byte* arena;      // fp16 values between -1 and 1: as numbers of any type they are finite
  std::byte* sink;       // written
  std::uint32_t* chain;  // a line each: the line that comes next, through all of them in a random order
  std::uint32_t at = 0;  // in the chain
  static constexpr Bytes kChainBytes = 128LL << 20;
  static constexpr Bytes kLine = 64;

 private:
  void fill_arena();
  void link_chain();

  Bytes next_ = 0;
};

}  // namespace hybridgen
