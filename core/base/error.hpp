// Failures that a user can mend, by exit status. Our own bugs are HG_CHECK's.
#pragma once

#include <stdexcept>
#include <string>

namespace hybridgen {

enum class ExitCode { done = 0, failed = 1, bad_input = 2, does_not_fit = 3, not_available = 4 };

// Carries the exit status with the message; main() prints what() and returns code().
class UserError : public std::runtime_error {
 public:
  UserError(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// A file, key or argument is wrong. The message names file:line:col, key and remedy where there is a file.
class BadInput : public UserError {
 public:
  explicit BadInput(const std::string& message) : UserError(ExitCode::bad_input, message) {}
};

// Some tier is too small; the message lists the shortage per tier.
class DoesNotFit : public UserError {
 public:
  explicit DoesNotFit(const std::string& message) : UserError(ExitCode::does_not_fit, message) {}
};

// This machine lacks what was asked for: no GPU, no such node, no tokenizer environment.
class NotAvailable : public UserError {
 public:
  explicit NotAvailable(const std::string& message) : UserError(ExitCode::not_available, message) {}
};

}  // namespace hybridgen
