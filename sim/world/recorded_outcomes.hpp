// Outcomes as a recorded run had them, found by step, kind, request and layer.
#pragma once

#include <map>
#include <tuple>

#include "core/driver/timeline.hpp"
#include "sim/world/outcome_source.hpp"

namespace hybridgen {

class RecordedOutcomes final : public OutcomeSource {
 public:
  // Keeps a copy of the counts only. Throws BadInput when the timeline holds an outcome twice.
  explicit RecordedOutcomes(const Timeline& timeline);

  std::string name() const override { return "recorded"; }
  // Throws BadInput when the run has no such outcome, or one outside the bounds asked for.
  std::int64_t count(const Step& step, const Outcome& outcome) override;

 private:
  using Key = std::tuple<StepId, OutcomeKind, RequestId, std::int32_t>;  // layer last
  static std::string text(const Key& key);
  std::map<Key, std::int64_t> counts_;
};

}  // namespace hybridgen
