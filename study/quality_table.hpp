// Policies side by side: their answers against full attention's, and the bytes that these took.
#pragma once

#include <string>
#include <vector>

#include "core/driver/timeline.hpp"
#include "core/machine/machine.hpp"
#include "formats/quality_summary.hpp"

namespace hybridgen {

// Fills in the row's bytes per token from the decode steps of its run.
void add_bytes(const Machine& machine, const Timeline& timeline, QualityRow& row);

// One line per row; in brackets behind a figure its standard error.
std::string quality_table(const std::vector<QualityRow>& rows);

}  // namespace hybridgen
