#include "sim/world/selection_samples.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace hybridgen {
namespace {

// Assumptions, chosen by hand; what speaks for them is the hold-out (docs/locality.md).
constexpr double kSamePoint = 1.1;    // shares of two runs that are one point lie within this factor
constexpr double kSteadyShare = 1.5;  // and those of one run within this: rows are whole, a few vary more

double share_of_rows(const RecordedSelection& each) {
  return static_cast<double>(each.selection.rows_per_head) / static_cast<double>(each.selection.tokens);
}

}  // namespace

std::vector<SelectionSample> samples_of(const std::vector<const RecordedRun*>& runs) {
  std::vector<SelectionSample> each;
  std::int32_t next_request = 0;
  for (const RecordedRun* run : runs) {
    SelectionSample sample;
    double least = 1, most = 0;
    std::int32_t last = 0;
    for (RecordedSelection selection : run->selections) {
      const double share = share_of_rows(selection);
      least = std::min(least, share);
      most = std::max(most, share);
      sample.share += share / static_cast<double>(run->selections.size());
      last = std::max(last, selection.request.value);
      selection.request.value += next_request;  // two runs have no request in common
      sample.all.push_back(selection);
    }
    next_request += last + 1;
    if (most > kSteadyShare * least) {
      throw BadInput(run->name + ": the share of rows that a head may choose goes from " +
                     std::to_string(least) + " to " + std::to_string(most) +
                     " within the run; record with split: fixed and scan_cap: 0");
    }
    each.push_back(std::move(sample));
  }
  std::sort(each.begin(), each.end(),
            [](const SelectionSample& a, const SelectionSample& b) { return a.share < b.share; });
  std::vector<SelectionSample> merged;
  for (SelectionSample& sample : each) {
    if (merged.empty() || sample.share > kSamePoint * merged.back().share) {
      merged.push_back(std::move(sample));
      continue;
    }
    SelectionSample& into = merged.back();
    const auto before = static_cast<double>(into.all.size());
    const auto added = static_cast<double>(sample.all.size());
    into.share = (into.share * before + sample.share * added) / (before + added);
    into.all.insert(into.all.end(), sample.all.begin(), sample.all.end());
  }
  return merged;
}

double rows_per_head_and_token(const RecordedSelection& each) {
  return static_cast<double>(each.count) / static_cast<double>(each.selection.heads * each.selection.tokens);
}

}  // namespace hybridgen
