#include "sim/world/fit_threshold.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace hybridgen {
namespace {

// Assumptions, chosen by hand; what speaks for them is the hold-out (docs/locality.md).
constexpr int kTurns = 12;  // of share and sharpness in turn, each nearer by far than one percent
constexpr Ppm kMostFreeShare = 8 * kPpmOne;      // that a head would take without a cap
constexpr std::int64_t kLeastSharpness = 300;    // thousandths
constexpr std::int64_t kMostSharpness = 12'000;  // min(c, m) to within 6 %
constexpr double kCutting =
    0.8;  // of a change gets through, by the unknown sharpness: less, and the cap shows
constexpr double kUncapped = 0.9;        // a cap of so many rows holds nobody back
constexpr double kSpreadOfGrowth = 0.2;  // between layers: what a layer's few requests are weighed against
constexpr double kLeastResidual = 1e-4;  // variance of a logarithm: 1 % of a count, less is chance

// Logarithm of rows by logarithm of rows chosen among, request by request.
struct GrowthLine {
  std::vector<std::pair<double, double>> points;
  double covariance = 0, variance = 0;  // sums over the points, means taken out
  double residual = 1;                  // variance about the line

  void fit() {
    const auto count = static_cast<double>(points.size());
    double x = 0, y = 0;
    for (const auto& point : points) {
      x += point.first / count;
      y += point.second / count;
    }
    double squares = 0;
    for (const auto& point : points) {
      covariance += (point.first - x) * (point.second - y);
      variance += (point.first - x) * (point.first - x);
      squares += (point.second - y) * (point.second - y);
    }
    if (count < 3 || variance <= 0) {
      covariance = variance = 0;
      return;
    }
    residual = std::max(kLeastResidual, (squares - covariance * covariance / variance) / (count - 2));
  }
};

// A point per request, but for those that the cap holds back: they would tell how the cap grows.
void add_requests(const SelectionSample& sample, int layer, GrowthLine& line) {
  struct Sums {
    double rows = 0, tokens = 0, cap = 0, count = 0;
  };
  std::map<RequestId, Sums> of_requests;
  for_layer(sample, layer, [&](const RecordedSelection& each) {
    Sums& sums = of_requests[each.request];
    sums.rows += static_cast<double>(each.count) / static_cast<double>(each.selection.heads);
    sums.tokens += static_cast<double>(each.selection.tokens);
    sums.cap += static_cast<double>(each.selection.rows_per_head);
    ++sums.count;
  });
  for (const auto& [request, sums] : of_requests) {
    const bool free = sample.share > kUncapped || sums.rows < sums.cap / 2;
    if (free) line.points.emplace_back(std::log(sums.tokens / sums.count), std::log(sums.rows / sums.count));
  }
}

// By layer: how rows grow with the rows chosen among.
std::vector<std::int64_t> growths(const std::vector<SelectionSample>& samples, int layers) {
  std::vector<GrowthLine> lines(static_cast<std::size_t>(layers));
  double covariance = 0, variance = 0;  // of all layers, each by the inverse of its residual variance
  for (int layer = 0; layer < layers; ++layer) {
    GrowthLine& line = lines[static_cast<std::size_t>(layer)];
    for (const SelectionSample& sample : samples) add_requests(sample, layer, line);
    line.fit();
    covariance += line.covariance / line.residual;
    variance += line.variance / line.residual;
  }
  // Requests of nearly one length say nothing about another.
  const double common = variance > 1 ? std::clamp(covariance / variance, 0.0, 1.0) : 1;
  std::vector<std::int64_t> growth;
  for (const GrowthLine& line : lines) {
    const double precision = 1 / (kSpreadOfGrowth * kSpreadOfGrowth);
    const double own =
        (line.covariance / line.residual + common * precision) / (line.variance / line.residual + precision);
    growth.push_back(std::llround(1000 * std::clamp(own, 0.0, 1.0)));
  }
  return growth;
}

// Of a figure of the law: the smallest with which it gives what was recorded. A request is one sample of
// the text, however long it ran.
void least_that_reaches(const std::vector<SelectionSample>& samples, int layer, const ThresholdLaw& law,
                        std::int64_t& figure, std::int64_t low, std::int64_t high) {
  std::map<RequestId, double> steps;
  const auto each_one = [&](const auto& visit) {
    for (const SelectionSample& sample : samples) for_layer(sample, layer, visit);
  };
  each_one([&](const RecordedSelection& each) { ++steps[each.request]; });
  double recorded = 0;
  each_one([&](const RecordedSelection& each) {
    recorded += rows_per_head_and_token(each) / steps[each.request];
  });
  while (low < high) {
    figure = low + (high - low) / 2;
    double lawful = 0;
    each_one([&](const RecordedSelection& each) {
      lawful += static_cast<double>(law.rows(each.selection).share) / kWholeShare / steps[each.request];
    });
    if (lawful < recorded) {
      low = figure + 1;
    } else {
      high = figure;
    }
  }
  figure = low;
}

// The share that gives the mean of the runs with the largest cap.
void fit_share(const std::vector<SelectionSample>& largest, int layer, ThresholdLaw& law) {
  least_that_reaches(largest, layer, law, law.share_ppm, 1, kMostFreeShare);
}

// Whether any of these caps is small enough to hold much back.
bool cuts(const std::vector<SelectionSample>& samples, int layer, const ThresholdLaw& law) {
  return std::any_of(samples.begin(), samples.end(), [&](const SelectionSample& sample) {
    double passing = 0, count = 0;
    for_layer(sample, layer, [&](const RecordedSelection& each) {
      passing += static_cast<double>(law.rows(each.selection).passing_permille) / 1000;
      ++count;
    });
    return passing < kCutting * count;
  });
}

}  // namespace

CappedRows ThresholdLaw::rows(const Selection& selection) const {
  const std::int64_t free = log_free_share(share_ppm, growth_permille, selection.tokens, mean_rows);
  CappedRows rows = under_cap(share_of(selection.rows_per_head, selection.tokens), free, sharpness_permille);
  rows.share = std::max(rows.share, share_of(1, selection.tokens));
  return rows;
}

// By layer. How sharply a cap cuts shows only where it cuts; the other layers have the median of these.
std::vector<ThresholdLaw> fit_threshold(const std::vector<SelectionSample>& samples, int layers,
                                        Tokens mean_rows) {
  const std::vector<std::int64_t> growth = growths(samples, layers);
  const std::vector<SelectionSample> largest{samples.back()};
  const std::vector<SelectionSample> others(samples.begin(), samples.end() - 1);
  std::vector<ThresholdLaw> laws;
  std::vector<std::int64_t> known;
  std::vector<int> unknown;
  for (int layer = 0; layer < layers; ++layer) {
    ThresholdLaw& law = laws.emplace_back(ThresholdLaw{mean_rows, growth[static_cast<std::size_t>(layer)]});
    fit_share(largest, layer, law);
    if (!cuts(others, layer, law)) {
      unknown.push_back(layer);
      continue;
    }
    for (int turn = 0; turn < kTurns; ++turn) {
      least_that_reaches(others, layer, law, law.sharpness_permille, kLeastSharpness, kMostSharpness);
      fit_share(largest, layer, law);
    }
    known.push_back(law.sharpness_permille);
  }
  if (known.empty()) return laws;
  std::nth_element(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2), known.end());
  for (const int layer : unknown) {
    ThresholdLaw& law = laws[static_cast<std::size_t>(layer)];
    law.sharpness_permille = known[known.size() / 2];
    fit_share(largest, layer, law);
  }
  return laws;
}

}  // namespace hybridgen
