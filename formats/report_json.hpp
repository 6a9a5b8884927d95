// Reports as JSON, for scripts: keys carry units, an infinite error and an unknown spread are null.
#pragma once

#include <string>

#include "formats/byte_cost_report.hpp"
#include "formats/validation_report.hpp"

namespace hybridgen {

std::string to_json(const ValidationReport& report);
std::string to_json(const ByteCostReport& report);

}  // namespace hybridgen
