// A calibration as a platform file.
#pragma once

#include "formats/platform_description.hpp"
#include "runtime/calibrate/calibration.hpp"

namespace hybridgen::cli {

// The device gets two fifths of the machine's memory, the host as much: room for both and for the system.
PlatformDescription local_platform(const Calibration& calibration);

}  // namespace hybridgen::cli
