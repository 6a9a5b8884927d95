// Holds a simulated run against a real run of the same plan. Times are in the real and in the simulated
// result; nothing is simulated or fitted here.
#pragma once

#include <string>

#include "formats/result_folder.hpp"
#include "formats/validation_report.hpp"

namespace hybridgen {

// Throws BadInput, naming the first difference, when the two are not runs of the same plan, and when a
// result's decisions do not have the hash in its manifest. The real result's timeline is its median repeat's;
// ops, TTFT and TPOT are of that run, the spread is over all repeats.
ValidationReport validate(const StoredResult& real, const StoredResult& simulated);

// Tables for people.
std::string to_text(const ValidationReport& report);

}  // namespace hybridgen
