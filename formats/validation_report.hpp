// How far a simulated run is from a real run of the same plan: the numbers, for people (study/validate) and
// for files (formats/report_json). Errors are relative to the real run and signed: 0.05 is 5 % too long or
// too much, -0.05 too short; infinite where the real figure is 0 and the simulated one is not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/units.hpp"
#include "core/machine/op_kind.hpp"

namespace hybridgen {

// Ops of one kind, each held against its twin (same step, same op id). Percentiles are nearest ranks.
struct OpKindError {
  OpKind kind = OpKind::embed;
  std::int64_t count = 0;
  double real_median_ns = 0;
  double simulated_median_ns = 0;
  double median_error = 0;     // of the signed errors of the pairs
  double p95_abs_error = 0;    // of their absolute values
  double worst_abs_error = 0;  // the same
};

struct LatencyError {
  std::string name;  // "ttft mean", "tpot p99", ...
  double real_ms = 0;
  double simulated_ms = 0;
  double error = 0;
  // (largest - smallest) / median of the real repeats; none with fewer than two, or where repeats carry no
  // such figure. An error inside the spread says nothing against the simulation.
  std::optional<double> real_spread;
};

// Of a channel: bytes that passed it over the whole run. Of a tier: its peak.
struct BytesError {
  std::string name;
  Bytes real = 0;
  Bytes simulated = 0;
  double error = 0;
};

struct ValidationReport {
  std::string real_executor;
  std::string simulated_executor;
  std::string simulated_outcome_source;
  std::string decision_hash;  // of both
  std::int64_t steps = 0;
  std::int64_t ops = 0;
  std::int64_t real_repeats = 0;
  std::vector<OpKindError> op_kinds;  // in the order of OpKind; kinds that occur
  std::vector<LatencyError> latencies;
  std::vector<BytesError> channels;
  std::vector<BytesError> tier_peaks;
  std::vector<std::string> notes;  // what a reader must know before believing the numbers
};

}  // namespace hybridgen
