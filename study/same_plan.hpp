// Do two results carry out the same plan? Times may be compared only then.
#pragma once

#include <string>

#include "formats/result_folder.hpp"

namespace hybridgen {

// The first difference in decisions, ops, lanes, channels or tiers, as a phrase for people: what, where, and
// both values. Empty when there is none.
std::string first_difference(const StoredResult& real, const StoredResult& simulated);

}  // namespace hybridgen
