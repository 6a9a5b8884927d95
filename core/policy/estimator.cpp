#include "core/policy/estimator.hpp"

namespace hybridgen {
namespace {

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
    entry.ps_per_byte = blend(entry.ps_per_byte, duration * 1000 / bytes, entry.ps_per_byte == 0);
  }
  if (items > 0) {
    entry.ps_per_item = blend(entry.ps_per_item, duration * 1000 / items, entry.ps_per_item == 0);
  }
  ++entry.seen;
}

}  // namespace hybridgen
