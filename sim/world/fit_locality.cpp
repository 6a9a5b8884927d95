#include "sim/world/fit_locality.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/base/error.hpp"
#include "sim/world/fixed_point.hpp"
#include "sim/world/locality_law.hpp"

namespace hybridgen {
namespace {

// Assumptions, chosen by hand; what speaks for them is the hold-out (docs/locality.md).
constexpr double kSamePoint = 1.1;        // shares of two runs that are one point lie within this factor
constexpr double kSteadyShare = 1.5;      // and those of one run within this: rows are whole, a few vary more
constexpr double kMostPersistence = 0.9;  // of the autocorrelation from step to step
constexpr int kTurns = 12;  // of share and sharpness in turn, each nearer by far than one percent
constexpr Ppm kMostFreeShare = 8 * kPpmOne;        // that a head would take without a cap
constexpr std::int64_t kLeastSharpness = 300;      // thousandths
constexpr std::int64_t kMostSharpness = 12'000;    // min(c, m) to within 6 %
constexpr std::int64_t kSharpnessUnknown = 1'000;  // where all runs had one cap
constexpr double kLeastPassing = 0.3;  // part of a change that is taken to get through a cap, at least
constexpr double kCutting =
    0.8;  // of a change gets through, by the unknown sharpness: less, and the cap shows
constexpr double kUncapped = 0.9;        // a cap of so many rows holds nobody back
constexpr double kSpreadOfGrowth = 0.2;  // between layers: what a layer's few requests are weighed against
constexpr double kLeastResidual = 1e-4;  // variance of a logarithm: 1 % of a count, less is chance

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

double rows_per_head_and_token(const RecordedSelection& each) {
  return static_cast<double>(each.count) / static_cast<double>(each.selection.heads * each.selection.tokens);
}

double share_of_rows(const RecordedSelection& each) {
  return static_cast<double>(each.selection.rows_per_head) / static_cast<double>(each.selection.tokens);
}

// The selections of one point.
struct Sample {
  double share = 0;  // mean
  std::vector<RecordedSelection> all;
};

std::vector<Sample> samples_of(std::vector<const RecordedRun*> runs) {
  std::vector<Sample> each;
  std::int32_t next_request = 0;
  for (const RecordedRun* run : runs) {
    Sample sample;
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
  std::sort(each.begin(), each.end(), [](const Sample& a, const Sample& b) { return a.share < b.share; });
  std::vector<Sample> merged;
  for (Sample& sample : each) {
    if (merged.empty() || sample.share > kSamePoint * merged.back().share) {
      merged.push_back(std::move(sample));
      continue;
    }
    Sample& into = merged.back();
    const auto before = static_cast<double>(into.all.size());
    const auto added = static_cast<double>(sample.all.size());
    into.share = (into.share * before + sample.share * added) / (before + added);
    into.all.insert(into.all.end(), sample.all.begin(), sample.all.end());
  }
  return merged;
}

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
    for (const Sample& sample : samples_of(runs)) {
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
    const std::vector<Sample> samples = samples_of(runs);
    LocalityThreshold fitted;
    fitted.alpha_milli = alpha;
    fitted.growth_permille = growths(samples);
    const std::vector<ThresholdLaw> laws = fit_laws(samples, fitted.growth_permille);
    for (int layer = 0; layer < model_.layers; ++layer) {
      const ThresholdLaw& law = laws[static_cast<std::size_t>(layer)];
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

  // The law of one layer and alpha, as LocalityLaw has it.
  struct ThresholdLaw {
    Tokens mean_rows;
    std::int64_t growth_permille;
    Ppm share_ppm = 1;
    std::int64_t sharpness_permille = kSharpnessUnknown;

    CappedRows rows(const Selection& selection) const {
      const std::int64_t free = log_free_share(share_ppm, growth_permille, selection.tokens, mean_rows);
      CappedRows rows =
          under_cap(share_of(selection.rows_per_head, selection.tokens), free, sharpness_permille);
      rows.share = std::max(rows.share, share_of(1, selection.tokens));
      return rows;
    }
  };

  // By layer. How sharply a cap cuts shows only where it cuts; the other layers have the median of these.
  std::vector<ThresholdLaw> fit_laws(const std::vector<Sample>& samples,
                                     const std::vector<std::int64_t>& growths) const {
    const std::vector<Sample> largest{samples.back()};
    const std::vector<Sample> others(samples.begin(), samples.end() - 1);
    std::vector<ThresholdLaw> laws;
    std::vector<std::int64_t> known;
    std::vector<int> unknown;
    for (int layer = 0; layer < model_.layers; ++layer) {
      ThresholdLaw& law =
          laws.emplace_back(ThresholdLaw{out_.mean_rows, growths[static_cast<std::size_t>(layer)]});
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
    std::nth_element(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2),
                     known.end());
    for (const int layer : unknown) {
      ThresholdLaw& law = laws[static_cast<std::size_t>(layer)];
      law.sharpness_permille = known[known.size() / 2];
      fit_share(largest, layer, law);
    }
    return laws;
  }

  // The share that gives the mean of the runs with the largest cap.
  static void fit_share(const std::vector<Sample>& largest, int layer, ThresholdLaw& law) {
    least_that_reaches(largest, layer, law, law.share_ppm, 1, kMostFreeShare);
  }

  // Whether any of these caps is small enough to hold much back.
  static bool cuts(const std::vector<Sample>& samples, int layer, const ThresholdLaw& law) {
    return std::any_of(samples.begin(), samples.end(), [&](const Sample& sample) {
      double passing = 0, count = 0;
      for_layer(sample, layer, [&](const RecordedSelection& each) {
        passing += static_cast<double>(law.rows(each.selection).passing_permille) / 1000;
        ++count;
      });
      return passing < kCutting * count;
    });
  }

  // Of a figure of the law: the smallest with which it gives what was recorded. A request is one sample of
  // the text, however long it ran.
  static void least_that_reaches(const std::vector<Sample>& samples, int layer, const ThresholdLaw& law,
                                 std::int64_t& figure, std::int64_t low, std::int64_t high) {
    std::map<RequestId, double> steps;
    const auto each_one = [&](const auto& visit) {
      for (const Sample& sample : samples) for_layer(sample, layer, visit);
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

  template <class Visit>
  static void for_layer(const Sample& sample, int layer, const Visit& visit) {
    for (const RecordedSelection& each : sample.all) {
      if (each.selection.layer == layer) visit(each);
    }
  }

  // With which the law's mean is the recorded one; the law falls as it grows.
  static Ppm correlation(const Sample& sample, int layer) {
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
  Scatter scatter(const Sample& sample, int layer, const Expected& expected) {
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

  // By layer: how rows grow with the rows chosen among.
  std::vector<std::int64_t> growths(const std::vector<Sample>& samples) const {
    std::vector<GrowthLine> lines(static_cast<std::size_t>(model_.layers));
    double covariance = 0, variance = 0;  // of all layers, each by the inverse of its residual variance
    for (int layer = 0; layer < model_.layers; ++layer) {
      GrowthLine& line = lines[static_cast<std::size_t>(layer)];
      for (const Sample& sample : samples) add_requests(sample, layer, line);
      line.fit();
      covariance += line.covariance / line.residual;
      variance += line.variance / line.residual;
    }
    // Requests of nearly one length say nothing about another.
    const double common = variance > 1 ? std::clamp(covariance / variance, 0.0, 1.0) : 1;
    std::vector<std::int64_t> growth;
    for (const GrowthLine& line : lines) {
      const double precision = 1 / (kSpreadOfGrowth * kSpreadOfGrowth);
      const double own = (line.covariance / line.residual + common * precision) /
                         (line.variance / line.residual + precision);
      growth.push_back(thousandths(std::clamp(own, 0.0, 1.0)));
    }
    return growth;
  }

  // A point per request, but for those that the cap holds back: they would tell how the cap grows.
  static void add_requests(const Sample& sample, int layer, GrowthLine& line) {
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
      if (free)
        line.points.emplace_back(std::log(sums.tokens / sums.count), std::log(sums.rows / sums.count));
    }
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
