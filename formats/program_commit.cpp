#include "formats/program_commit.hpp"

#if !defined(HYBRIDGEN_COMMIT) && __has_include("hybridgen_commit.hpp")
#include "hybridgen_commit.hpp"
#endif
#ifndef HYBRIDGEN_COMMIT
#define HYBRIDGEN_COMMIT "unknown"
#endif

namespace hybridgen {

std::string program_commit() {
  return HYBRIDGEN_COMMIT;
}

}  // namespace hybridgen
