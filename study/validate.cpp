#include "study/validate.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "core/base/error.hpp"
#include "study/same_plan.hpp"

namespace hybridgen {
namespace {

double relative_error(double real, double simulated) {
  if (real == simulated) return 0;
  if (real == 0) return std::numeric_limits<double>::infinity();
  return (simulated - real) / real;
}

void check_hash(const StoredResult& result, const char* which) {
  if (result.decision_hash == result.timeline.decision_hash) return;
  throw BadInput(std::string("the ") + which + " result's decisions have the hash " +
                 result.timeline.decision_hash + ", its manifest says " + result.decision_hash +
                 "; the result is damaged, make it anew");
}

struct Pairs {
  std::vector<double> real_ns, simulated_ns, errors;
};

OpKindError error_of(OpKind kind, const Pairs& pairs) {
  OpKindError error;
  error.kind = kind;
  error.count = static_cast<std::int64_t>(pairs.errors.size());
  error.real_median_ns = percentile(pairs.real_ns, 50);
  error.simulated_median_ns = percentile(pairs.simulated_ns, 50);
  error.median_error = percentile(pairs.errors, 50);
  std::vector<double> absolute;
  for (const double each : pairs.errors) absolute.push_back(std::abs(each));
  error.p95_abs_error = percentile(absolute, 95);
  error.worst_abs_error = percentile(absolute, 100);
  return error;
}

// The plans are equal, so equal places are twins.
void add_op_kinds(const Timeline& real, const Timeline& simulated, ValidationReport& report) {
  std::array<Pairs, kOpKinds> by_kind;
  for (std::size_t step = 0; step < real.steps.size(); ++step) {
    for (std::size_t op = 0; op < real.steps[step].ops.size(); ++op) {
      const OpEvent& a = real.steps[step].ops[op];
      const OpEvent& b = simulated.steps[step].ops[op];
      Pairs& pairs = by_kind[static_cast<std::size_t>(a.kind)];
      pairs.real_ns.push_back(static_cast<double>(a.end - a.start));
      pairs.simulated_ns.push_back(static_cast<double>(b.end - b.start));
      pairs.errors.push_back(relative_error(pairs.real_ns.back(), pairs.simulated_ns.back()));
      ++report.ops;
    }
  }
  for (std::size_t i = 0; i < by_kind.size(); ++i) {
    if (!by_kind[i].errors.empty()) report.op_kinds.push_back(error_of(static_cast<OpKind>(i), by_kind[i]));
  }
}

std::optional<double> spread_of(const std::vector<RunMetrics>& repeats,
                                const std::function<double(const RunMetrics&)>& figure) {
  if (repeats.size() < 2) return std::nullopt;
  std::vector<double> values;
  for (const RunMetrics& repeat : repeats) values.push_back(figure(repeat));
  const double median = percentile(values, 50);
  if (median == 0) return std::nullopt;
  return (percentile(values, 100) - percentile(values, 0)) / median;
}

// Start of the run to the end of each request's prefill.
std::vector<double> ttft_each_ms(const Timeline& timeline) {
  std::vector<double> values;
  for (const StepEvent& step : timeline.steps) {
    if (!step.decision.rows.front().prefill()) continue;
    values.push_back(static_cast<double>(step.end - timeline.steps.front().start) / 1e6);
  }
  return values;
}

void add_latencies(const StoredResult& real, const StoredResult& simulated, ValidationReport& report) {
  const RunMetrics a = metrics_of(real.timeline);
  const RunMetrics b = metrics_of(simulated.timeline);
  const auto add = [&](const std::string& name, double real_ms, double simulated_ms,
                       std::optional<double> spread) {
    report.latencies.push_back({name, real_ms, simulated_ms, relative_error(real_ms, simulated_ms), spread});
  };
  const auto add_figure = [&](const std::string& name, double RunMetrics::*figure) {
    add(name, a.*figure, b.*figure,
        spread_of(real.repeats, [figure](const RunMetrics& repeat) { return repeat.*figure; }));
  };
  add_figure("ttft mean", &RunMetrics::ttft_ms);
  const std::vector<double> real_each = ttft_each_ms(real.timeline);
  const std::vector<double> simulated_each = ttft_each_ms(simulated.timeline);
  for (const int percent : {50, 90, 99}) {
    // Repeats carry the mean alone, so these have no spread; with one request they would repeat the mean.
    if (real_each.size() < 2) break;
    add("ttft p" + std::to_string(percent), percentile(real_each, percent),
        percentile(simulated_each, percent), std::nullopt);
  }
  if (a.tpot_ms.empty()) return;
  add_figure("tpot mean", &RunMetrics::tpot_mean_ms);
  add_figure("tpot p50", &RunMetrics::tpot_p50_ms);
  add_figure("tpot p90", &RunMetrics::tpot_p90_ms);
  add_figure("tpot p99", &RunMetrics::tpot_p99_ms);
}

BytesError bytes_error(const std::string& name, const std::vector<Bytes>& real,
                       const std::vector<Bytes>& simulated, std::size_t i) {
  const Bytes a = i < real.size() ? real[i] : 0;
  const Bytes b = i < simulated.size() ? simulated[i] : 0;
  return {name, a, b, relative_error(static_cast<double>(a), static_cast<double>(b))};
}

void add_bytes(const StoredResult& real, const StoredResult& simulated, ValidationReport& report) {
  const std::vector<Bytes> a = metrics_of(real.timeline).channel_bytes;
  const std::vector<Bytes> b = metrics_of(simulated.timeline).channel_bytes;
  for (const Channel& channel : real.platform.machine.channels())
    report.channels.push_back(bytes_error(channel.name, a, b, channel.id.index()));
  for (const Tier& tier : real.platform.machine.tiers()) {
    report.tier_peaks.push_back(bytes_error(tier.name, real.timeline.tier_peak_bytes,
                                            simulated.timeline.tier_peak_bytes, tier.id.index()));
  }
}

// Outcomes that differ make ops of different sizes: their times differ for that reason too.
std::int64_t outcomes_that_differ(const Timeline& real, const Timeline& simulated) {
  std::int64_t differing = 0;
  for (std::size_t step = 0; step < real.steps.size(); ++step) {
    const auto& a = real.steps[step].outcomes;
    const auto& b = simulated.steps[step].outcomes;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) differing += a[i].count != b[i].count;
  }
  return differing;
}

void add_notes(const StoredResult& real, const StoredResult& simulated, ValidationReport& report) {
  if (real.outcome_source != "kernels")
    report.notes.push_back("the real result is of executor " + real.executor + " with outcomes from " +
                           real.outcome_source + ": no real run");
  for (const Tier& tier : real.platform.machine.tiers()) {
    const auto& peaks = real.timeline.tier_peak_bytes;
    const bool used = tier.id.index() < peaks.size() && peaks[tier.id.index()] > 0;
    if (tier.emulated && used)
      report.notes.push_back("tier " + tier.name +
                             " is emulated: times of this run are no evidence about real hardware");
  }
  if (report.real_repeats < 5)
    report.notes.push_back("only " + std::to_string(report.real_repeats) +
                           " real repeats: the spread wants at least 5");
  const std::int64_t differing = outcomes_that_differ(real.timeline, simulated.timeline);
  if (differing > 0)
    report.notes.push_back(std::to_string(differing) +
                           " outcomes differ between the runs, and with them the sizes of ops");
}

}  // namespace

ValidationReport validate(const StoredResult& real, const StoredResult& simulated) {
  check_hash(real, "real");
  check_hash(simulated, "simulated");
  const std::string difference = first_difference(real, simulated);
  if (!difference.empty())
    throw BadInput("these are not runs of the same plan, so their times cannot be compared: " + difference);
  if (real.timeline.steps.empty()) throw BadInput("the results have no steps; nothing to compare");

  ValidationReport report;
  report.real_executor = real.executor;
  report.simulated_executor = simulated.executor;
  report.simulated_outcome_source = simulated.outcome_source;
  report.decision_hash = real.timeline.decision_hash;
  report.steps = static_cast<std::int64_t>(real.timeline.steps.size());
  report.real_repeats = static_cast<std::int64_t>(real.repeats.size());
  add_op_kinds(real.timeline, simulated.timeline, report);
  add_latencies(real, simulated, report);
  add_bytes(real, simulated, report);
  add_notes(real, simulated, report);
  return report;
}

}  // namespace hybridgen
