// What a byte costs on a platform, from everywhere to everywhere: figures of the platform file put together,
// nothing measured and nothing simulated.
#pragma once

#include <string>

#include "core/machine/machine.hpp"
#include "formats/byte_cost_report.hpp"

namespace hybridgen {

ByteCostReport byte_costs(const Machine& machine);
// As tables for people.
std::string to_text(const ByteCostReport& report);

}  // namespace hybridgen
