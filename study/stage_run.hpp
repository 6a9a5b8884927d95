// Stages of measurement under a time budget, most valuable first: what `hybridgen bench-machine` does with a
// machine that is lent for an hour. A stage whose result is in the folder is not measured again, one that
// fails is recorded and the next one goes on, so that the same command continues where it was cut off.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "formats/bench_result.hpp"

namespace hybridgen {

struct Stage {
  std::string name;      // its result is NAME.json
  std::string sentence;  // what it measures, for people
  double minutes = 1;    // it is not begun with less left
  // NotAvailable: this machine lacks what the stage needs; any other exception: it failed.
  std::function<std::vector<Measurement>()> measure;
};

enum class StageState { done, kept, failed, unavailable, no_time };
const char* name_of(StageState state);

struct StageOutcome {
  std::string stage;
  StageState state = StageState::done;
  double seconds = 0;
  std::string message;  // why it failed, or what it lacks
};

struct StageRunOptions {
  std::string folder;                            // must exist
  double budget_minutes = 0;                     // for all stages together
  std::vector<std::string> only;                 // these stages alone, measured again; empty: all
  BenchResult head;                              // card, commit, date, kernels of every result
  std::function<double()> seconds;               // a clock
  std::function<void(const std::string&)> line;  // progress, for people
};

// In the order given. Writes NAME.json of each finished stage and, after every stage, stages.csv with what
// became of all of them; a file is written aside and renamed, so that none is ever half. BadInput for an
// unknown `only`.
std::vector<StageOutcome> run_stages(const std::vector<Stage>& stages, const StageRunOptions& options);

// Text into a file of the folder, whole or not at all. Throws UserError (status 1) when it cannot be written.
void write_whole(const std::string& path, const std::string& text);

}  // namespace hybridgen
