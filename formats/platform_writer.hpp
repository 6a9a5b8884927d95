// Writes a platform file that load_platform accepts; `calibrate` describes the machine it measured.
#pragma once

#include <string>

#include "formats/platform_description.hpp"

namespace hybridgen {

// A measured figure as it stands in the file: four digits, more would be noise.
double four_digits(double value);

// `head` becomes the comment at the top, line by line; it may be empty.
std::string platform_yaml(const PlatformDescription& description, const std::string& head = "");

}  // namespace hybridgen
