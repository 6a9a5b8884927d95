#include "sim/world/fit_locality.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/base/error.hpp"
#include "sim/world/fit_threshold.hpp"
#include "sim/world/locality_law.hpp"
#include "sim/world/selection_samples.hpp"

namespace hybridgen {
namespace {

// Assumptions, chosen by hand; what speaks for them is the hold-out (docs/locality.md).
constexpr double kMostPersistence = 0.9;  // of the autocorrelation from step to step
constexpr double kLeastPassing = 0.3;     // part of a change that is taken to get through a cap, at least

double mean_of(const std::vector<double>& values) {
  return values.empty()
             ? 0
             : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double variance_of(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double middle = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  return squares / static_cast<double>(values.size() - 1);
}

std::int64_t thousandths(double value) {
  return std::llround(1000 * value);
}

// Of a positive quantity with this variance about a mean of one: the deviation of its logarithm, if that is
// normal.
std::int64_t log_deviation(double relative_variance) {
  return thousandths(std::sqrt(std::log1p(std::max(0.0, relative_variance))));
}

// Autocorrelation at lag 1 over many series: sums of products and of squares.
struct Autocorrelation {
  double products = 0, squares = 0, lengths = 0, series = 0;

  void add(const std::vector<double>& values) {
    const double middle = mean_of(values);
    for (std::size_t i = 0; i < values.size(); ++i) {
      squares += (values[i] - middle) * (values[i] - middle);
      if (i > 0) products += (values[i] - middle) * (values[i - 1] - middle);
    }
    lengths += static_cast<double>(values.size());
    ++series;
  }
  // A series' own mean was taken out, which hides (1 + 3 r) / length of it (Kendall 1954).
  double value() const {
    if (squares <= 0 || lengths <= series) return 0;
    const double length = lengths / series;
    const double raw = products / squares;
    return std::clamp((raw + 1 / length) / (1 - 3 / length), 0.0, kMostPersistence);
  }
};

class Fitter {
 public:
  Fitter(const ModelShape& model, const std::vector<RecordedRun>& runs) : model_(model), runs_(runs) {
    out_.model = model.name;
    out_.layers = model.layers;
  }

  Locality fit() {
    mean_rows();
    overlap();
    for (const auto& [alpha, runs] : threshold_runs()) threshold(alpha, runs);
    if (out_.overlap.empty() && out_.thresholds.empty()) {
      throw BadInput(
          "these runs have no selection to fit: record with select: top-k and select_by: kv-group, or "
          "with select: threshold");
    }
    out_.persistence_permille = thousandths(autocorrelation_.value());
    end_of_sequence();
    return out_;
  }

 private:
  std::map<std::int64_t, std::vector<const RecordedRun*>> threshold_runs() const {
    std::map<std::int64_t, std::vector<const RecordedRun*>> by_alpha;
    for (const RecordedRun& run : runs_) {
      if (run.selections.empty()) continue;
      const Selection& first = run.selections.front().selection;
      if (first.rule == SelectRule::threshold && (first.group == 1))
        by_alpha[first.alpha_milli].push_back(&run);
    }
    return by_alpha;
  }

  void overlap() {
    std::vector<const RecordedRun*> runs;
    for (const RecordedRun& run : runs_) {
      if (run.selections.empty()) continue;
      const Selection& first = run.selections.front().selection;
      if (first.rule == SelectRule::top_k && first.group > 1) runs.push_back(&run);
    }
    for (const SelectionSample& sample : samples_of(runs)) {
      LocalityOverlap point;
      point.share = std::max<Ppm>(1, std::llround(sample.share * kPpmOne));
      for (int layer = 0; layer < model_.layers; ++layer) {
        const Ppm level = correlation(sample, layer);
        point.correlation_ppm.push_back(level);
        const Scatter found = scatter(sample, layer, [&](const RecordedSelection& each) {
          const std::int64_t chosen = share_of(each.selection.rows_per_head, each.selection.tokens);
          return static_cast<double>(union_share(chosen, level, each.selection.group)) / kWholeShare;
        });
        point.step_permille.push_back(log_deviation(found.of_steps));
        point.request_permille.push_back(log_deviation(found.of_requests));
      }
      out_.overlap.push_back(std::move(point));
    }
  }

  void threshold(std::int64_t alpha, const std::vector<const RecordedRun*>& runs) {
    const std::vector<SelectionSample> samples = samples_of(runs);
    LocalityThreshold fitted;
    fitted.alpha_milli = alpha;
    const std::vector<ThresholdLaw> laws = fit_threshold(samples, model_.layers, out_.mean_rows);
    for (int layer = 0; layer < model_.layers; ++layer) {
      const ThresholdLaw& law = laws[static_cast<std::size_t>(layer)];
      fitted.growth_permille.push_back(law.growth_permille);
      fitted.share_ppm.push_back(law.share_ppm);
      fitted.sharpness_permille.push_back(law.sharpness_permille);
      double passing = 0, count = 0;
      const Scatter found = scatter(samples.back(), layer, [&](const RecordedSelection& each) {
        const CappedRows rows = law.rows(each.selection);
        passing += static_cast<double>(rows.passing_permille) / 1000;
        ++count;
        return static_cast<double>(rows.share) / kWholeShare;
      });
      // Where next to nothing gets through the cap, what did is no measure of what did not.
      const double part = count > 0 ? std::max(kLeastPassing, passing / count) : 1;
      fitted.step_permille.push_back(log_deviation(found.of_steps / (part * part)));
      fitted.request_permille.push_back(log_deviation(found.of_requests / (part * part)));
    }
    out_.thresholds.push_back(std::move(fitted));
  }

  // With which the law's mean is the recorded one; the law falls as it grows.
  static Ppm correlation(const SelectionSample& sample, int layer) {
    double recorded = 0;
    for_layer(sample, layer,
              [&](const RecordedSelection& each) { recorded += rows_per_head_and_token(each); });
    const auto lawful = [&](Ppm level) {
      double sum = 0;
      for_layer(sample, layer, [&](const RecordedSelection& each) {
        const std::int64_t chosen = share_of(each.selection.rows_per_head, each.selection.tokens);
        sum += static_cast<double>(union_share(chosen, level, each.selection.group)) / kWholeShare;
      });
      return sum;
    };
    Ppm low = 0;
    Ppm high = kPpmOne;
    while (low < high) {
      const Ppm middle = (low + high) / 2;
      if (lawful(middle) > recorded) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  struct Scatter {
    double of_steps = 0, of_requests = 0;  // relative variances
  };

  // How counts deviate from what the law expects, as factors: within a request from step to step, and a
  // request's mean from that of all.
  template <class Expected>
  Scatter scatter(const SelectionSample& sample, int layer, const Expected& expected) {
    std::map<RequestId, std::vector<double>> factors;
    for_layer(sample, layer, [&](const RecordedSelection& each) {
      factors[each.request].push_back(rows_per_head_and_token(each) / expected(each));
    });
    std::vector<double> means;
    std::vector<double> variances;
    double noise_of_means = 0;
    for (const auto& [request, of_request] : factors) {
      const double middle = mean_of(of_request);
      means.push_back(middle);
      if (middle <= 0) continue;
      const double variance = variance_of(of_request) / (middle * middle);
      variances.push_back(variance);
      noise_of_means +=
          variance / static_cast<double>(of_request.size()) / static_cast<double>(factors.size());
      autocorrelation_.add(of_request);
    }
    const double middle = mean_of(means);
    const double between = middle > 0 ? variance_of(means) / (middle * middle) : 0;
    return {mean_of(variances), between - noise_of_means};
  }

  void mean_rows() {
    double logs = 0, count = 0;
    for (const auto& [alpha, runs] : threshold_runs()) {
      for (const RecordedRun* run : runs) {
        for (const RecordedSelection& each : run->selections) {
          logs += std::log(static_cast<double>(each.selection.tokens));
          ++count;
        }
      }
    }
    if (count > 0) out_.mean_rows = std::max<Tokens>(1, std::llround(std::exp(logs / count)));
  }

  void end_of_sequence() {
    std::int64_t may_end = 0, ended = 0;
    for (const RecordedRun& run : runs_) {
      may_end += run.may_end;
      ended += run.ended;
    }
    if (may_end > 0) out_.end_of_sequence = ended * kPpmOne / may_end;
  }

  const ModelShape& model_;
  const std::vector<RecordedRun>& runs_;
  Autocorrelation autocorrelation_;
  Locality out_;
};

}  // namespace

Locality fit_locality(const ModelShape& model, const std::vector<RecordedRun>& runs) {
  return Fitter(model, runs).fit();
}

}  // namespace hybridgen
