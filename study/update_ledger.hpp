// What measured results say of each kernel, as lines of traces/VERIFIED.md.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "formats/bench_result.hpp"
#include "formats/kernel_ledger.hpp"

namespace hybridgen {

inline constexpr const char* kErrorQuantity = "error";
inline constexpr const char* kShareQuantity = "share of streaming read";

// A line per kernel of `sources` (source hash by kernel), by name. Figures count for a kernel only where
// their result was measured with that very source. A kernel with errors in `results` is verified when all of
// them lie within their bounds. One without keeps its old line where that names the same source, and is
// unverified otherwise: nothing is ever claimed of a source that was not measured.
std::vector<LedgerLine> updated_ledger(const std::vector<LedgerLine>& old,
                                       const std::map<std::string, std::string>& sources,
                                       const std::vector<BenchResult>& results);

}  // namespace hybridgen
