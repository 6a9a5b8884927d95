// Outcomes that are always the same share of their bound: for golden timelines and bounds of a study.
#pragma once

#include "core/base/units.hpp"
#include "sim/world/outcome_source.hpp"

namespace hybridgen {

class FixedOutcomes final : public OutcomeSource {
 public:
  // share: of the bound, 0 to kPpmOne. No request ends early: an end of sequence is not a share.
  explicit FixedOutcomes(Ppm share);

  std::string name() const override { return "fixed"; }
  std::int64_t count(const Step& step, const Outcome& outcome) override;

 private:
  Ppm share_;
};

// share x bound, rounded down, within [least, bound]: how every source turns a share into a count.
std::int64_t share_of_bound(const Outcome& outcome, Ppm share);

}  // namespace hybridgen
