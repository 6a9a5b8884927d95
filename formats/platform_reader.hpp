// One platform file's text, read and checked. The steps behind load_platform.
#pragma once

#include <string>

#include "core/machine/machine.hpp"
#include "formats/platform_description.hpp"

namespace hybridgen {

// Throws BadInput with all errors; `path` is for messages only.
PlatformDescription read_platform_description(const std::string& text, const std::string& path);
// Of a description that was read, or that is known to be sound.
Machine machine_from(const PlatformDescription& description);

}  // namespace hybridgen
