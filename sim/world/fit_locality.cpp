#include "sim/world/fit_locality.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/base/error.hpp"
#include "sim/world/locality_law.hpp"

namespace hybridgen {
namespace {

constexpr double kSamePoint = 1.1;     // shares of two runs that are one point lie within this factor
constexpr double kSteadyShare = 1.5;   // and those of one run within this: rows are whole, so a few rows vary more
constexpr double kMostPersistence = 0.9;

double mean_of(const std::vector<double>& values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
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
      throw BadInput(run->name + ": the share of rows that a head may choose goes from " + std::to_string(least) +
                     " to " + std::to_string(most) + " within the run; record with split: fixed and scan_cap: 0");
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
    length_law();
    overlap();
    for (const auto& [alpha, runs] : threshold_runs()) threshold(alpha, runs);
    if (out_.overlap.empty() && out_.thresholds.empty()) {
      throw BadInput("these runs have no selection to fit: record with select: top-k and select_by: kv-group, or "
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
      if (first.rule == SelectRule::threshold && (first.group == 1)) by_alpha[first.alpha_milli].push_back(&run);
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
      LocalityPoint point = point_of(sample);
      for (int layer = 0; layer < model_.layers; ++layer) {
        point.level.push_back(correlation(sample, layer));
        scatter(sample, layer, point, [&](const RecordedSelection& each) {
          const std::int64_t chosen = share_of(each.selection.rows_per_head, each.selection.tokens);
          return static_cast<double>(union_share(chosen, point.level.back(), each.selection.group)) / kWholeShare;
        });
      }
      out_.overlap.push_back(std::move(point));
    }
  }

  void threshold(std::int64_t alpha, const std::vector<const RecordedRun*>& runs) {
    LocalityThreshold curve{alpha, {}};
    for (const Sample& sample : samples_of(runs)) {
      LocalityPoint point = point_of(sample);
      for (int layer = 0; layer < model_.layers; ++layer) {
        // A request is one sample of the text, however long it ran.
        std::map<RequestId, std::vector<double>> rows;
        for_layer(sample, layer, [&](const RecordedSelection& each) {
          rows[each.request].push_back(rows_per_head_and_token(each) / scale(each));
        });
        std::vector<double> means;
        for (const auto& [request, of_request] : rows) means.push_back(mean_of(of_request));
        Ppm level = std::llround(kPpmOne * std::min(1.0, mean_of(means)));
        // Runs whose texts went apart: more rows allowed are never fewer rows taken.
        if (!curve.points.empty()) level = std::max(level, curve.points.back().level[static_cast<std::size_t>(layer)]);
        point.level.push_back(level);
        scatter(sample, layer, point, [&](const RecordedSelection& each) {
          return std::min(share_of_rows(each), static_cast<double>(level) / kPpmOne * scale(each));
        });
      }
      curve.points.push_back(std::move(point));
    }
    out_.thresholds.push_back(std::move(curve));
  }

  static LocalityPoint point_of(const Sample& sample) {
    LocalityPoint point;
    point.share = std::max<Ppm>(1, std::llround(sample.share * kPpmOne));
    return point;
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
    for_layer(sample, layer, [&](const RecordedSelection& each) { recorded += rows_per_head_and_token(each); });
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

  // How counts deviate from what the law expects, as factors: within a request from step to step, and a request's
  // mean from that of all.
  template <class Expected>
  void scatter(const Sample& sample, int layer, LocalityPoint& point, const Expected& expected) {
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
      noise_of_means += variance / static_cast<double>(of_request.size()) / static_cast<double>(factors.size());
      autocorrelation_.add(of_request);
    }
    const double middle = mean_of(means);
    const double between = middle > 0 ? variance_of(means) / (middle * middle) : 0;
    point.step_permille.push_back(log_deviation(mean_of(variances)));
    point.request_permille.push_back(log_deviation(between - noise_of_means));
  }

  // (n / n0)^(growth - 1), see LocalityLaw.
  double scale(const RecordedSelection& each) const {
    const double longer = static_cast<double>(each.selection.tokens) / static_cast<double>(out_.mean_rows);
    return std::pow(longer, static_cast<double>(out_.growth_permille - 1000) / 1000);
  }

  // Rows over a threshold by rows chosen among: one exponent for all layers and alphas, by least squares of logarithms
  // over requests, each weighted by its rows, so that layers that send little weigh little. Of runs that the cap holds
  // back least.
  void length_law() {
    struct Point {
      double log_rows, log_tokens, weight;
    };
    std::vector<std::vector<Point>> groups;  // by alpha and layer, whose levels are their own
    double weights = 0, log_tokens = 0;
    for (const auto& [alpha, runs] : threshold_runs()) {
      const std::vector<Sample> samples = samples_of(runs);
      for (int layer = 0; layer < model_.layers; ++layer) {
        std::map<RequestId, std::pair<std::vector<double>, std::vector<double>>> of_requests;
        for_layer(samples.back(), layer, [&](const RecordedSelection& each) {
          auto& [rows, tokens] = of_requests[each.request];
          rows.push_back(static_cast<double>(each.count) / static_cast<double>(each.selection.heads));
          tokens.push_back(static_cast<double>(each.selection.tokens));
        });
        std::vector<Point>& group = groups.emplace_back();
        for (const auto& [request, both] : of_requests) {
          const double rows = mean_of(both.first);
          group.push_back({std::log(rows), std::log(mean_of(both.second)), rows});
          weights += rows;
          log_tokens += rows * group.back().log_tokens;
        }
      }
    }
    if (weights <= 0) return;
    out_.mean_rows = std::max<Tokens>(1, std::llround(std::exp(log_tokens / weights)));
    double covariance = 0, variance = 0;
    for (const std::vector<Point>& group : groups) {
      double weight = 0, x = 0, y = 0;
      for (const Point& point : group) {
        weight += point.weight;
        x += point.weight * point.log_tokens;
        y += point.weight * point.log_rows;
      }
      for (const Point& point : group) {
        covariance += point.weight * (point.log_tokens - x / weight) * (point.log_rows - y / weight);
        variance += point.weight * (point.log_tokens - x / weight) * (point.log_tokens - x / weight);
      }
    }
    // Requests of nearly one length say nothing about another.
    if (variance > 0.01 * weights) {
      out_.growth_permille = thousandths(std::clamp(covariance / variance, 0.0, 1.0));
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

RecordedRun recorded_run(const std::string& name, const Policy& policy, const ModelShape& model,
                         const Timeline& timeline) {
  RecordedRun run;
  run.name = name;
  for (const StepEvent& event : timeline.steps) {
    const Step step = policy.build(event.decision);
    const auto fail = [&] {
      throw BadInput(name + ": the outcomes of step " + std::to_string(event.decision.step.value) +
                     " are not those of the steps that this program builds; record the run anew");
    };
    if (step.outcomes.size() != event.outcomes.size()) fail();
    for (std::size_t i = 0; i < step.outcomes.size(); ++i) {
      const Outcome& planned = step.outcomes[i];
      const OutcomeEvent& found = event.outcomes[i];
      const bool same = planned.kind == found.kind && planned.request == found.request &&
                        planned.layer == found.layer && planned.bound == found.bound &&
                        planned.least <= found.count && found.count <= planned.bound;
      if (!same) fail();
      if (planned.kind == OutcomeKind::end_of_sequence) {
        ++run.may_end;
        run.ended += found.count;
      } else {
        run.selections.push_back({selection_of(step, planned, model), planned.request, step.id.value, planned.least,
                                  planned.bound, found.count});
      }
    }
  }
  return run;
}

Locality fit_locality(const ModelShape& model, const std::vector<RecordedRun>& runs) {
  return Fitter(model, runs).fit();
}

}  // namespace hybridgen
