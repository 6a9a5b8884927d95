// Durations as a recorded run had them: every op waits and lasts as it did, whatever the channels do. A
// replay of equal decisions gives an equal timeline, to the nanosecond; different ones are noticed as soon as
// an op differs from the recorded one.
#pragma once

#include "core/driver/timeline.hpp"
#include "sim/world/duration_model.hpp"

namespace hybridgen {

// What of a step must be as recorded.
enum class ReplayCheck {
  structure,  // requests, positions, ops and their structure; a real run's bytes need not be as planned
  bytes,      // the bytes of every op as well, which tells decisions apart that differ in sizes only
};

class ReplayDurations final : public DurationModel {
 public:
  // The timeline outlives the model. Throws BadInput when a step's end is not its last op's, or its ops are
  // not listed by id.
  ReplayDurations(const Timeline& timeline, ReplayCheck check);

  // Both throw BadInput naming step and op: step_gap_ns when the step is not the recorded one, plan when the
  // op's bytes are not, or when the record says that it started before what it depends on had ended.
  OpPlan plan(const Step& step, const Op& op, std::span<const std::int64_t> counts) override;
  double step_gap_ns(const Step& step) override;

 private:
  const StepEvent& recorded(const Step& step) const;

  const Timeline& timeline_;
  ReplayCheck check_;
};

}  // namespace hybridgen
