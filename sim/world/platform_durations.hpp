// Durations from a platform file: the machine's cost tables and the channels that bytes pass.
// An op costs its fixed time (the kernel's, or the copy role's for an op with copies); then its bytes, flops
// and items run side by side. One lane moves an op's bytes at one speed: alone, they take
//   T = sum(bytes x seconds per byte), with seconds per byte = 1 / bytes_per_s, + row_ns / row_bytes for a
//   gather,
// however many memories they lie in. Bytes of one channel path are one flow, and its cap is its bytes / T; so
// a path that is slower than its cap makes the op longer, and no second path makes it shorter. Flops and
// items are flows without channels. A figure of 0 is no limit; what nothing limits takes no time.
#pragma once

#include "sim/world/duration_model.hpp"

namespace hybridgen {

class PlatformDurations final : public DurationModel {
 public:
  // The machine outlives the model.
  explicit PlatformDurations(const Machine& machine) : machine_(machine) {}

  OpPlan plan(const Step& step, const Op& op, std::span<const std::int64_t> counts) override;
  // The machine's gap; none before step 0, which starts the run.
  double step_gap_ns(const Step& step) override;

 private:
  const Machine& machine_;
};

}  // namespace hybridgen
