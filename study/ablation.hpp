// From the timelines of an ablation's runs to its table: what every variant costs and moves, and how it
// stands against the first one at the same place.
#pragma once

#include <string>
#include <vector>

#include "core/driver/timeline.hpp"
#include "core/machine/machine.hpp"
#include "formats/ablation_report.hpp"

namespace hybridgen {

// The figures of one variant; timelines: its repeats, at least one. TPOT and loads are those of the median
// run.
AblationPoint ablation_point(const Machine& machine, const std::vector<Timeline>& timelines);

// Fills in every point's speedup: TPOT of the first variant at its platform and context over its own.
void compare_with_first(AblationReport& report);

// One table per platform and context.
std::string to_text(const AblationReport& report);

}  // namespace hybridgen
