#include "sim/world/count_figures.hpp"

#include <numeric>

#include "core/driver/run_metrics.hpp"

namespace hybridgen {
namespace {

CountFigures figures_of(const std::vector<double>& counts) {
  if (counts.empty()) return {};
  const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
  return {sum / static_cast<double>(counts.size()), percentile(counts, 90)};
}

}  // namespace

CountFigures recorded_figures(const RecordedRun& run) {
  std::vector<double> counts;
  for (const RecordedSelection& each : run.selections) counts.push_back(static_cast<double>(each.count));
  return figures_of(counts);
}

CountFigures drawn_figures(const RecordedRun& run, const LocalityOutcomes& outcomes) {
  std::vector<double> counts;
  for (const RecordedSelection& each : run.selections) {
    counts.push_back(
        static_cast<double>(outcomes.count(each.selection, each.request, each.step, each.least, each.bound)));
  }
  return figures_of(counts);
}

}  // namespace hybridgen
