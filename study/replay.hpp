// Carries a recorded run out once more, decision by decision, and compares. Equal decisions, outcomes and
// durations must give an equal timeline: one core drives both worlds.
#pragma once

#include <string>

#include "core/executor/executor.hpp"
#include "formats/result_folder.hpp"

namespace hybridgen {

// The recorded decisions on an executor, which is to take its durations and outcomes from the same record;
// what it throws comes out. The model is the experiment's.
Timeline replay(const StoredResult& recorded, const ModelShape& model, Executor& executor);

// The first difference, as a phrase for people: step, op, what, and both values. Empty when decisions, ops,
// times, bytes, outcomes and peaks are all equal.
std::string timeline_difference(const Timeline& recorded, const Timeline& replayed);

}  // namespace hybridgen
