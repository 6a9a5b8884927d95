// HG_CHECK: our own bugs stop the run loudly, in release builds too. Never used for a user's input.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace hybridgen {

// Thrown by HG_CHECK. Nobody handles it but main(), which prints it and exits with status 1.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

namespace detail {
[[noreturn]] inline void check_failed(const char* expression, const char* file, int line,
                                      const std::string& note) {
  std::ostringstream text;
  text << "internal error: " << file << ":" << line << ": " << expression;
  if (!note.empty()) text << ": " << note;
  throw InternalError(text.str());
}
}  // namespace detail

}  // namespace hybridgen

// The note is a stream expression, built only on failure: HG_CHECK(a < b, "op " << op.id.value).
#define HG_CHECK(expression, note)                                                             \
  do {                                                                                         \
    if (!(expression)) {                                                                       \
      std::ostringstream hg_check_note;                                                        \
      hg_check_note << note;                                                                   \
      ::hybridgen::detail::check_failed(#expression, __FILE__, __LINE__, hg_check_note.str()); \
    }                                                                                          \
  } while (false)
