// Values as YAML text that reads back as the same value.
#pragma once

#include <string>
#include <vector>

namespace hybridgen {

// Plain where that is unambiguous, else double-quoted with escapes.
std::string yaml_string(const std::string& text);
// The shortest decimal that reads back as the same double.
std::string yaml_number(double value);
std::string yaml_list(const std::vector<std::string>& names);

}  // namespace hybridgen
