// A validation report as tables for people.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "study/text_table.hpp"
#include "study/validate.hpp"

namespace hybridgen {
namespace {

using Row = TextRow;

// Relative to the real run, in percent; signed where the direction says something.
std::string percent(double error, bool with_sign = true) {
  if (std::isinf(error)) return "inf";
  char text[64];
  std::snprintf(text, sizeof text, with_sign ? "%+.1f" : "%.1f", error * 100);
  return text;
}

std::string op_table(const ValidationReport& report) {
  std::vector<Row> rows = {
      {"op", "count", "real us", "simulated us", "median error %", "p95 |error| %", "worst |error| %"}};
  for (const OpKindError& each : report.op_kinds) {
    rows.push_back({name_of(each.kind), std::to_string(each.count), number(each.real_median_ns / 1e3, 2),
                    number(each.simulated_median_ns / 1e3, 2), percent(each.median_error),
                    percent(each.p95_abs_error, false), percent(each.worst_abs_error, false)});
  }
  return text_table(rows);
}

std::string latency_table(const ValidationReport& report) {
  std::vector<Row> rows = {{"latency", "real ms", "simulated ms", "error %", "spread of repeats %"}};
  for (const LatencyError& each : report.latencies) {
    rows.push_back({each.name, number(each.real_ms, 3), number(each.simulated_ms, 3), percent(each.error),
                    each.real_spread ? percent(*each.real_spread, false) : "unknown"});
  }
  return text_table(rows);
}

std::string bytes_table(const char* heading, const std::vector<BytesError>& errors) {
  std::vector<Row> rows = {{heading, "real bytes", "simulated bytes", "error %"}};
  for (const BytesError& each : errors) {
    rows.push_back(
        {each.name, std::to_string(each.real), std::to_string(each.simulated), percent(each.error)});
  }
  return text_table(rows);
}

}  // namespace

std::string to_text(const ValidationReport& report) {
  std::ostringstream text;
  text << "simulated (" << report.simulated_executor << ", outcomes: " << report.simulated_outcome_source
       << ") against real (" << report.real_executor << ", " << report.real_repeats << " repeats)\n"
       << "same plan: decision hash " << report.decision_hash << ", " << report.steps << " steps, "
       << report.ops << " ops\n";
  for (const std::string& note : report.notes) text << "note: " << note << "\n";
  text << "\n" << op_table(report);
  text << "\n" << latency_table(report);
  text << "\n" << bytes_table("channel, whole run", report.channels);
  text << "\n" << bytes_table("tier, peak", report.tier_peaks);
  return text.str();
}

}  // namespace hybridgen
