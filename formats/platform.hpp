// platform-models/*.yaml to a checked Machine.
#pragma once

#include <string>
#include <vector>

#include "core/machine/machine.hpp"

namespace hybridgen {

struct Platform {
  Machine machine;
  std::string path;
  std::string text;  // the file as read, for the result folder
};

// Throws BadInput with all errors, one line each: file:line:col: key: what; remedy.
Platform load_platform(const std::string& path);
// `name` under a platform-models directory, or a path to a file. BadInput names the directories searched.
std::string find_platform(const std::string& name);
std::vector<std::string> list_platforms();

}  // namespace hybridgen
