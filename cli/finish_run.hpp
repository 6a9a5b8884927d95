// What run and simulate do with a finished run: choose the repeat to keep, write the folder, print the
// summary.
#pragma once

#include <string>
#include <vector>

#include "cli/experiment_options.hpp"
#include "formats/result_folder.hpp"

namespace hybridgen::cli {

// The run whose mean TPOT is the median of all.
std::size_t median_run(const std::vector<RunMetrics>& repeats);

// timelines: one per repeat; header.repeats is filled in here.
void finish_run(const ExperimentOptions& options, const LoadedExperiment& loaded, ResultHeader header,
                const std::vector<Timeline>& timelines);

}  // namespace hybridgen::cli
