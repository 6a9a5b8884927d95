// One figure that was measured on a machine, as micro-benchmarks hand it to files.
#pragma once

#include <optional>
#include <string>

namespace hybridgen {

struct Measurement {
  std::string subject;    // what was measured: a kernel, a copy, a preset
  std::string condition;  // in which shape: "G=4 dim=128 f16", "32768 tokens"
  std::string quantity;   // of what the value is: "error", "share of streaming read", "step time"
  std::string unit;       // "1" for a plain number
  double value = 0;
  double spread = 0;            // (90th - 10th percentile) / median of the samples; 0: one sample
  std::optional<double> bound;  // the value must be at most this; none: it is only told
};

// False for a value over its bound, and for one that is not a number.
inline bool within_bound(const Measurement& m) {
  return !m.bound || m.value <= *m.bound;
}

}  // namespace hybridgen
