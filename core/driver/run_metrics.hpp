// What people ask of a run, computed from its timeline alone, the same for both worlds.
#pragma once

#include <vector>

#include "core/driver/overlap.hpp"
#include "core/driver/timeline.hpp"

namespace hybridgen {

struct RunMetrics {
  double ttft_ms = 0;  // mean over requests: start of the run to the end of the request's prefill step
  double tpot_mean_ms = 0, tpot_p50_ms = 0, tpot_p90_ms = 0,
         tpot_p99_ms = 0;          // time between tokens in decode
  double decode_tokens_per_s = 0;  // of the decode steps alone
  double tokens_per_s = 0;         // all new tokens over the whole run
  std::vector<double> tpot_ms;  // every decode step's, in order; empty: the other decode figures mean nothing
  HostOverlap host;             // of the decode steps
  std::vector<Bytes> channel_bytes;  // by channel id, over the whole run
};

// Nearest-rank percentile of unsorted values; 0 of none.
double percentile(std::vector<double> values, double percent);
RunMetrics metrics_of(const Timeline& timeline);

}  // namespace hybridgen
