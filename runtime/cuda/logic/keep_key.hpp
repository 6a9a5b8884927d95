// Which of the kept rows goes first: the least key, the same as runtime/host/keep_rules.cpp's.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/step/op.hpp"
#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

struct KeepKey {
  float mass = 0;
  std::int32_t tie = 0;
  std::int32_t slot = -1;  // -1: no row that may go
};

HYBRIDGEN_HD inline KeepKey key_of(SelectRule rule, const KeepRule& keep, std::int64_t new_position,
                                   std::int32_t position, float mass, std::int32_t slot) {
  if (rule == SelectRule::sink_window) {
    return position < keep.sinks ? KeepKey{} : KeepKey{0, position, slot};
  }
  if (rule == SelectRule::heavy_hitter) {
    return position >= new_position - keep.recent ? KeepKey{} : KeepKey{mass, position, slot};
  }
  if (mass == HUGE_VALF) return {mass, position, slot};
  // Chosen rows: of equal masses the younger goes.
  return keep.generated == Generated::slide ? KeepKey{} : KeepKey{mass, -position, slot};
}

HYBRIDGEN_HD inline KeepKey first_to_go(const KeepKey& a, const KeepKey& b) {
  if (a.slot < 0 || b.slot < 0) return a.slot < 0 ? b : a;
  if (a.mass != b.mass) return a.mass < b.mass ? a : b;
  return a.tie <= b.tie ? a : b;
}

}  // namespace hybridgen::cuda
