// The policy's belief about speed: what the reports of this run taught. It shares no function with the
// simulator's duration model, which is the world.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/base/units.hpp"
#include "core/machine/op_kind.hpp"

namespace hybridgen {

class Estimator {
 public:
  // One finished op. Integers only: an exponential average with weight 1/8 for the newest.
  // items: elements that a selection scanned; 0 for every other kind.
  void learn(OpKind kind, TimeNs duration, Bytes bytes, std::int64_t items = 0);

  // Of a selection's bound, what went up.
  void learn_selected(std::int64_t count, std::int64_t bound);

  // Femtoseconds per byte and per item, nanoseconds per op, as seen; 0 while nothing was seen. A picosecond
  // is too coarse: memory gives a byte in five, and an average in integers stops seven units off.
  std::int64_t fs_per_byte(OpKind kind) const { return entry(kind).fs_per_byte; }
  std::int64_t fs_per_item(OpKind kind) const { return entry(kind).fs_per_item; }
  TimeNs op_ns(OpKind kind) const { return entry(kind).op_ns; }
  std::int64_t seen(OpKind kind) const { return entry(kind).seen; }
  // The share of the rows that may go up which do; all where no outcome said otherwise.
  Ppm selected_ppm() const { return selected_ppm_.value_or(kPpmOne); }

 private:
  struct Entry {
    std::int64_t seen = 0;
    std::int64_t fs_per_byte = 0;
    std::int64_t fs_per_item = 0;
    TimeNs op_ns = 0;
  };
  const Entry& entry(OpKind kind) const { return entries_[static_cast<std::size_t>(kind)]; }
  std::array<Entry, kOpKinds> entries_{};
  std::optional<Ppm> selected_ppm_;
};

}  // namespace hybridgen
