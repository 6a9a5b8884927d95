#include "core/step/step.hpp"

#include "core/base/hash.hpp"

namespace hybridgen {
namespace {

// Not how much, but whether and by which outcome it is decided.
void add_source(Hash64& hash, const Amount& amount) {
  hash.add(amount.outcome.value);
}

}  // namespace

const char* name_of(OutcomeKind kind) {
  return kind == OutcomeKind::selected_rows ? "selected_rows" : "end_of_sequence";
}

std::uint64_t structure_hash(const Step& step) {
  Hash64 hash;
  for (const Op& op : step.ops) {
    hash.add(static_cast<std::int64_t>(op.kind));
    hash.add(static_cast<std::int64_t>(op.role));
    hash.add(op.lane.value);
    hash.add(op.layer);
    hash.add(op.request.value);
    hash.add(static_cast<std::int64_t>(op.work.kv));
    hash.add(op.work.buffer);
    hash.add(static_cast<std::int64_t>(op.work.rule));
    if (op.work.predicted) hash.add(1);  // only then: recorded runs carry hashes without it
    hash.add(op.produces.value);
    hash.add(op.dependency_count);
    for (const OpId id : step.dependencies_of(op)) hash.add(id.value);
    add_source(hash, op.traffic.flops);
    add_source(hash, op.traffic.items);
    hash.add(static_cast<std::int64_t>(op.traffic.accesses.size()));
    for (const Access& access : op.traffic.accesses) {
      hash.add(access.tier.value);
      hash.add(static_cast<std::int64_t>(access.direction));
      add_source(hash, access.bytes);
    }
    hash.add(static_cast<std::int64_t>(op.traffic.copies.size()));
    for (const Copy& copy : op.traffic.copies) {
      hash.add(copy.from.value);
      hash.add(copy.to.value);
      add_source(hash, copy.bytes);
    }
  }
  return hash.value();
}

}  // namespace hybridgen
