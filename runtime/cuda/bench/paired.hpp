// Rates that are only compared where they were measured in turn: a card's clocks move from second to second.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/machine/measurement.hpp"
#include "runtime/calibrate/calibration.hpp"

namespace hybridgen::cuda {

// One thing that is timed.
struct TimedCase {
  std::string kernel;     // its file's name without .cu
  std::string condition;  // the shape
  double work = 0;        // bytes, or flops, of one call
  bool is_flops = false;
  std::function<double()> seconds;  // of one call, measured now
};

// Every round times the yardstick, a streaming read, and then each case. Figures per case: its rate (GB/s or
// TFLOP/s), and of those bound by memory their "share of streaming read": the median over rounds of the
// case's rate divided by the yardstick's of the same round. The yardstick's own rate comes first.
std::vector<Measurement> time_in_turn(const TimedCase& yardstick, const std::vector<TimedCase>& cases,
                                      int rounds);

}  // namespace hybridgen::cuda
