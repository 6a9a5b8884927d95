// Whether a series has come to rest, or goes round in a cycle: what a scheduler's decisions are asked.
#pragma once

#include <cstddef>
#include <vector>

namespace hybridgen {

struct Cycle {
  std::size_t period = 0;  // entries after which the series repeats; 0: it repeats nowhere, or is at rest
  double amplitude =
      0;                // (largest - smallest) / mean over one period; of the second half where none is found
  bool steady = false;  // the second half stays within the tolerance of its mean
};

// Looks at the second half of the series: the first is left to settling. A period must repeat at least twice
// there, each entry within `tolerance` (a share of the mean) of the one a period earlier.
Cycle find_cycle(const std::vector<double>& series, double tolerance = 0.02);

}  // namespace hybridgen
