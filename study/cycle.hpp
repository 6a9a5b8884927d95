// Whether a series has come to rest, or goes round in a cycle: what a scheduler's decisions are asked.
#pragma once

#include <cstddef>
#include <vector>

namespace hybridgen {

struct Cycle {
  // Entries from one round to the next, the nearest whole number; 0: it goes round nowhere, or is at rest.
  std::size_t period = 0;
  double mean_period = 0;  // the same on average: rounds may differ by one entry
  // (largest - smallest) / mean over one period; of the second half where rounds differ, or none is found.
  double amplitude = 0;
  bool steady = false;  // the second half stays within the tolerance of its mean
};

// Looks at the second half of the series: the first is left to settling. A period must repeat at least twice
// there, each entry within `tolerance` (a share of the mean) of the one a period earlier. Where none does,
// rounds are counted from peak to peak: at least three, as long as each other but for one entry, each falling
// by at least half of all that the series moves.
Cycle find_cycle(const std::vector<double>& series, double tolerance = 0.02);

}  // namespace hybridgen
