#include "core/policy/estimator.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kFsPerNs = 1'000'000;

std::int64_t blend(std::int64_t old, std::int64_t now, bool first) {
  return first ? now : old + (now - old) / 8;
}

}  // namespace

void Estimator::learn(OpKind kind, TimeNs duration, Bytes bytes, std::int64_t items) {
  Entry& entry = entries_[static_cast<std::size_t>(kind)];
  const bool first = entry.seen == 0;
  entry.op_ns = blend(entry.op_ns, duration, first);
  // An op without bytes teaches no rate, so the first rate may come later than the first op.
  if (bytes > 0) {
    entry.fs_per_byte = blend(entry.fs_per_byte, duration * kFsPerNs / bytes, entry.fs_per_byte == 0);
  }
  if (items > 0) {
    entry.fs_per_item = blend(entry.fs_per_item, duration * kFsPerNs / items, entry.fs_per_item == 0);
  }
  ++entry.seen;
}

void Estimator::learn_selected(std::int64_t count, std::int64_t bound) {
  if (bound <= 0) return;
  const Ppm share = count * kPpmOne / bound;
  selected_ppm_ = blend(selected_ppm_.value_or(0), share, !selected_ppm_);
}

}  // namespace hybridgen
