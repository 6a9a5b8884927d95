// One line on standard error that says how far long work has come; nothing where nobody watches.
#pragma once

#include <unistd.h>

#include <iostream>
#include <string>

namespace hybridgen::cli {

class Progress {
 public:
  explicit Progress(std::string what) : what_(std::move(what)), shown_(isatty(STDERR_FILENO) != 0) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const std::string& state) {
    if (shown_) std::cerr << "\r\033[K" << what_ << ": " << state << std::flush;
  }
  void clear() {
    if (shown_) std::cerr << "\r\033[K" << std::flush;
  }

 private:
  std::string what_;
  bool shown_;
};

}  // namespace hybridgen::cli
