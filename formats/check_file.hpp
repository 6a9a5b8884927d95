// What `hybridgen check` does with a file: finds out what it is and reads it as that.
#pragma once

#include <string>

namespace hybridgen {

// "experiment", "platform", "model shape", "ablation" or "locality". Throws BadInput with all errors of the
// file; a file that is none of them is told apart by its keys.
std::string check_file(const std::string& path);

}  // namespace hybridgen
