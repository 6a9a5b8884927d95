#include "sim/world/fixed_outcomes.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace hybridgen {

std::int64_t share_of_bound(const Outcome& outcome, Ppm share) {
  // In two parts, because bound x share may exceed 64 bits.
  const std::int64_t whole = outcome.bound / kPpmOne * share;
  const std::int64_t rest = outcome.bound % kPpmOne * share / kPpmOne;
  return std::clamp(whole + rest, outcome.least, outcome.bound);
}

FixedOutcomes::FixedOutcomes(Ppm share) : share_(share) {
  if (share < 0 || share > kPpmOne)
    throw BadInput("fixed outcomes: a share of " + std::to_string(share) + " ppm; use 0 to 1000000");
}

std::int64_t FixedOutcomes::count(const Step&, const Outcome& outcome) {
  if (outcome.kind == OutcomeKind::end_of_sequence) return outcome.least;
  return share_of_bound(outcome, share_);
}

}  // namespace hybridgen
