// What a policy may look at when it decides. No clock: what took how long is in the estimator, learned from
// reports.
#pragma once

#include <vector>

#include "core/base/ids.hpp"
#include "core/base/units.hpp"
#include "core/policy/estimator.hpp"
#include "core/policy/step_times.hpp"

namespace hybridgen {

struct RequestView {
  RequestId id;
  Tokens prompt_tokens = 0;
  Tokens cached_tokens = 0;  // tokens that went through the model, dropped ones too; 0 before prefill
  Tokens device_tokens = 0;  // of these in the device segment
  Tokens host_tokens = 0;    // of these in the host segment
  Tokens generated = 0;      // new tokens so far
  bool finished = false;
  Tokens new_tokens = 0;  // at which it ends, if no end of sequence comes before
  SlotId slot{};          // invalid while it waits for one and after it ended

  bool waiting() const { return cached_tokens == 0 && !finished; }
  bool in_flight() const { return cached_tokens > 0 && !finished; }
};

struct Observation {
  StepId step;
  const std::vector<RequestView>& requests;
  const Estimator& estimator;
  const StepTimes& times = kNoTimes;  // of the step before; empty at first
};

}  // namespace hybridgen
