// Which code this program is: results name it.
#pragma once

#include <string>

namespace hybridgen {

// The commit that this program was built from, "-dirty" behind it where files were changed; "unknown" outside
// a clone.
std::string program_commit();

}  // namespace hybridgen
