#include "tests/support/source_path.hpp"

namespace hybridgen {

std::string source_path(const std::string& relative) {
  return std::string(HYBRIDGEN_SOURCE_DIR) + "/" + relative;
}

}  // namespace hybridgen
