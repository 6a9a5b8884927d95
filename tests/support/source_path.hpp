// Where the checkout lies: one object file knows, so that every other compiles to the same bytes in any
// checkout.
#pragma once

#include <string>

namespace hybridgen {

// `relative` (to the root of the checkout) as an absolute path.
std::string source_path(const std::string& relative);

}  // namespace hybridgen
