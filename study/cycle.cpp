#include "study/cycle.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace hybridgen {
namespace {

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double amplitude(std::span<const double> values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const double middle = mean(values);
  return middle == 0 ? 0 : (*most - *least) / std::abs(middle);
}

bool repeats(std::span<const double> values, std::size_t period, double allowed) {
  for (std::size_t i = period; i < values.size(); ++i) {
    if (std::abs(values[i] - values[i - period]) > allowed) return false;
  }
  return true;
}

}  // namespace

Cycle find_cycle(const std::vector<double>& series, double tolerance) {
  Cycle cycle;
  const std::span<const double> tail = std::span(series).subspan(series.size() / 2);
  if (tail.size() < 2) return cycle;
  const double allowed = tolerance * std::abs(mean(tail));
  cycle.amplitude = amplitude(tail);
  cycle.steady = repeats(tail, 1, allowed) && cycle.amplitude <= 2 * tolerance;
  if (cycle.steady) return cycle;
  for (std::size_t period = 2; 3 * period <= tail.size(); ++period) {
    if (!repeats(tail, period, allowed)) continue;
    cycle.period = period;
    cycle.amplitude = amplitude(tail.last(period));
    return cycle;
  }
  return cycle;
}

}  // namespace hybridgen
