// The runs of an ablation: all variants of one platform and context.
#pragma once

#include <string>
#include <vector>

#include "cli/experiment_options.hpp"
#include "cli/progress.hpp"
#include "formats/ablation_report.hpp"

namespace hybridgen::cli {

// One after the other by the fluid engine. A variant that does not fit its platform gets no figures but says
// what is short. outcome_source: what all of them took their counts from.
std::vector<AblationPoint> simulated_points(const std::vector<LoadedExperiment>& variants,
                                            std::string& outcome_source, Progress& progress);

// On this machine, round by round, every variant once in each. All variants are of one model and one
// platform, and every one fits: BadInput or DoesNotFit before anything is started.
std::vector<AblationPoint> real_points(const std::vector<LoadedExperiment>& variants, int rounds,
                                       Progress& progress);

}  // namespace hybridgen::cli
