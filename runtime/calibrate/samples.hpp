// From samples to a figure.
#pragma once

#include <algorithm>
#include <vector>

#include "core/base/check.hpp"
#include "runtime/calibrate/calibration.hpp"

namespace hybridgen {

// Median and spread; the samples are sorted on the way.
inline Figure figure_of(std::vector<double> samples) {
  HG_CHECK(!samples.empty(), "a figure of no samples");
  std::sort(samples.begin(), samples.end());
  auto at = [&](double share) {
    return samples[static_cast<std::size_t>(share * static_cast<double>(samples.size() - 1) + 0.5)];
  };
  const double median = at(0.5);
  return {median, median > 0 ? (at(0.9) - at(0.1)) / median : 0};
}

}  // namespace hybridgen
