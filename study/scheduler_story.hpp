// What a scheduler decided and why, in words: one line per decision that it took.
#pragma once

#include <string>

#include "core/driver/timeline.hpp"

namespace hybridgen {

// Lines of text; decisions in a row that kept everything are one line. Ends with what the selected rows did
// over the run: at rest, in a cycle of a period and amplitude, or neither. Empty without a scheduler.
std::string scheduler_story(const Timeline& timeline);

}  // namespace hybridgen
