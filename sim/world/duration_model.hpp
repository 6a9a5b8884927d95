// How long the simulated world takes for an op. The world: it never reads the policy's estimator.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/machine/machine.hpp"
#include "core/step/step.hpp"

namespace hybridgen {

// An amount that flows over channels at one rate, which max-min sharing decides; all weights are 1.
struct Flow {
  double amount = 0;     // whole bytes; without channels any unit that the cap is in
  double cap_per_s = 0;  // at most this rate; 0: only the channels limit it
  ChannelPath channels;  // may be empty when there is a cap
};

// An op in time: becomes ready, waits `delay`, starts, takes `fixed`, then all flows run side by side, and it
// ends with the last of them.
struct OpPlan {
  double delay_ns = 0;
  double fixed_ns = 0;
  std::vector<Flow> flows;
};

class DurationModel {
 public:
  virtual ~DurationModel() = default;
  // counts: the step's outcomes by id, -1 while unknown. Called when the op is ready.
  virtual OpPlan plan(const Step& step, const Op& op, std::span<const std::int64_t> counts) = 0;
  // Time from the end of the step before this one to this one's being taken up; for the first step, from the
  // start of the run. Called once per step, when it is taken up.
  virtual double step_gap_ns(const Step& step) = 0;
};

}  // namespace hybridgen
