// A size that may depend on an outcome: base + per_count x (the count, once known).
#pragma once

#include <cstdint>
#include <span>

#include "core/base/check.hpp"
#include "core/base/ids.hpp"

namespace hybridgen {

struct Amount {
  std::int64_t base = 0;
  std::int64_t per_count = 0;
  OutcomeId outcome;  // invalid: the size is known when planned

  static Amount fixed(std::int64_t value) { return {value, 0, OutcomeId()}; }
  static Amount per(OutcomeId id, std::int64_t factor) { return {0, factor, id}; }

  bool known() const { return !outcome.valid(); }
  // counts: the step's outcomes by id; an outcome that is still unknown holds -1.
  std::int64_t resolve(std::span<const std::int64_t> counts) const {
    if (known()) return base;
    const std::int64_t count = counts[outcome.index()];
    HG_CHECK(count >= 0, "outcome " << outcome.value << " used before it is known");
    return base + per_count * count;
  }
};

}  // namespace hybridgen
