// What an ablation found: one point per platform, context and variant.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/units.hpp"
#include "formats/quality_summary.hpp"

namespace hybridgen {

struct ChannelLoad {
  std::string channel;
  Bytes bytes_per_step = 0;  // of a decode step, mean
};

struct AblationPoint {
  std::string variant;
  std::string platform;
  Tokens prompt_tokens = 0;
  std::string missing;      // why there are no figures: which memory is short; empty where there are
  double tpot_ms = 0;       // mean of a run; of real runs the median run's
  double tpot_spread = 0;   // (largest - smallest) / median of the real repeats; 0 in simulation
  double speedup = 0;       // against the first variant at the same place; 0 where that has no figure
  double device_share = 0;  // of the decode steps' time in which the device's lane works, 0 to 1
  std::vector<ChannelLoad> loads;
  std::optional<QualitySummary> quality;  // none: unknown
};

struct AblationReport {
  std::string title;
  std::string executor;  // "fluid", "host", ...
  std::string outcome_source;
  std::vector<AblationPoint> points;
  std::vector<std::string> notes;  // what a reader must know before believing the numbers
};

std::string to_json(const AblationReport& report);

}  // namespace hybridgen
