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

// Where the series turns down, each time after a rise from a trough that is `swing` lower.
std::vector<std::size_t> peaks_of(std::span<const double> values, double swing) {
  std::vector<std::size_t> peaks;
  double trough = values.front();
  for (std::size_t i = 1; i + 1 < values.size(); ++i) {
    trough = std::min(trough, values[i]);
    if (values[i] - trough < swing || values[i] < values[i - 1] || values[i] <= values[i + 1]) continue;
    peaks.push_back(i);
    trough = values[i + 1];
  }
  return peaks;
}

// Mean entries from peak to peak; 0 where they are fewer than four or not alike.
double mean_round(std::span<const double> values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const std::vector<std::size_t> peaks = peaks_of(values, (*most - *least) / 2);
  if (peaks.size() < 4) return 0;
  std::size_t shortest = values.size(), longest = 0;
  for (std::size_t i = 1; i < peaks.size(); ++i) {
    shortest = std::min(shortest, peaks[i] - peaks[i - 1]);
    longest = std::max(longest, peaks[i] - peaks[i - 1]);
  }
  if (longest - shortest > 1) return 0;
  return static_cast<double>(peaks.back() - peaks.front()) / static_cast<double>(peaks.size() - 1);
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
    cycle.mean_period = static_cast<double>(period);
    cycle.amplitude = amplitude(tail.last(period));
    return cycle;
  }
  cycle.mean_period = mean_round(tail);
  cycle.period = static_cast<std::size_t>(std::lround(cycle.mean_period));
  return cycle;
}

}  // namespace hybridgen
