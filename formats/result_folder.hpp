// A result folder: written aside and renamed when whole, so that a killed run leaves nothing half valid.
//   experiment.yaml manifest.json summary.json steps.csv ops.csv outcomes.csv requests.csv decisions.jsonl
//   platform.yaml trace.json
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/driver/run_metrics.hpp"
#include "core/driver/timeline.hpp"
#include "formats/experiment.hpp"
#include "formats/platform.hpp"

namespace hybridgen {

// What is written beside the timeline.
struct ResultHeader {
  std::string executor;        // "host", "simgrid", "fluid"
  std::string outcome_source;  // "kernels" in a real run
  std::string quality = "unknown";
  std::vector<std::string> notes;    // "oversubscribed, not a timing", emulated tiers, ...
  std::string generated_ids_sha256;  // real runs only; empty otherwise
  std::string generated_text;        // real runs only
  std::vector<RunMetrics> repeats;   // one per repeat; the timeline written is the median run's
};

// Throws BadInput when the folder exists and force is not set, when force would delete something that is no
// result folder (it has no manifest.json), and when nothing can be written there; asked before the run
// starts.
void check_out_folder(const std::string& folder, bool force);
// Writes folder.partial-<pid> and renames it; with force the old folder goes only once the new one is whole.
// Throws UserError (status 1) when writing fails; nothing of the new result is left then. Equal runs give
// equal bytes but for the manifest's `created`.
void write_result(const std::string& folder, bool force, const Experiment& experiment,
                  const Platform& platform, const ResultHeader& header, const Timeline& timeline);

// A result folder read back: what validation and replay need.
struct StoredResult {
  Experiment experiment;
  Platform platform;
  std::string executor;
  std::string outcome_source;
  std::string decision_hash;  // from the manifest
  Timeline timeline;          // decisions, op events, outcomes; decision_hash recomputed from the decisions
  std::vector<RunMetrics> repeats;
  std::string commit{};  // of the program that made it
};
// Throws BadInput, naming file and line, when a file is missing, has other columns, or contradicts another
// one. Whether the recomputed decision_hash equals the manifest's is the caller's question.
StoredResult read_result(const std::string& folder);

}  // namespace hybridgen
