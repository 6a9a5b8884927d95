// What the device knows of the rows that it kept of one layer, per KV head: the position and the attention
// mass of each slot of the segment. Slots [0, used) hold a row each, in no order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/units.hpp"
#include "runtime/host/tier_memory.hpp"

namespace hybridgen {

class KeptRows {
 public:
  // Takes the memory and leaves it as it is: it may be a card's.
  KeptRows(int kv_heads, Tokens slots, TierMemory& memory);

  // Slot n holds position n until something else is said: a bench decodes without a prompt.
  void in_order();
  Tokens slots() const { return slots_; }
  std::int32_t* positions() const { return positions_; }  // [kv_head][slot]
  float* mass() const { return mass_; }                   // [kv_head][slot]

  Tokens used() const { return used_; }
  std::span<const std::int32_t> positions(int kv_head) const { return {positions_ + at(kv_head), count()}; }
  std::span<const float> mass(int kv_head) const { return {mass_ + at(kv_head), count()}; }
  float* mass(int kv_head) { return mass_ + at(kv_head); }
  // Where the new token's row goes.
  Tokens next_slot(int kv_head) const { return next_.at(static_cast<std::size_t>(kv_head)); }

  // How many rows there are is the plan's: the ops say it before they describe them.
  void set_used(Tokens used);
  void describe(int kv_head, Tokens slot, std::int64_t position, float mass);
  void take_slot(int kv_head, Tokens slot, std::int64_t position, float mass);

 private:
  Tokens at(int kv_head) const { return kv_head * slots_; }
  std::size_t count() const { return static_cast<std::size_t>(used_); }

  Tokens slots_;
  Tokens used_ = 0;
  std::int32_t* positions_;   // [kv_head][slot]
  float* mass_;               // [kv_head][slot]
  std::vector<Tokens> next_;  // by KV head
};

}  // namespace hybridgen
