// Where names of platforms, models and configs are looked up: the current directory, then the folders above
// the executable that hold a checkout or an installation (they contain platform-models).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hybridgen {

// Without repetition, in the order of search.
std::vector<std::filesystem::path> search_roots();
// Names (without suffix) of the files root/folder/*suffix over all roots, sorted, once each.
std::vector<std::string> list_names(const std::string& folder, const std::string& suffix);
// True for what cannot be a mere name: it has a slash or ends in .yaml.
bool looks_like_path(const std::string& name);
// "a, b" of the folders that are searched, for messages.
std::string searched(const std::string& folder);

}  // namespace hybridgen
