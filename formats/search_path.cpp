#include "formats/search_path.hpp"

#include <algorithm>
#include <set>

namespace fs = std::filesystem;

namespace hybridgen {

std::vector<fs::path> search_roots() {
  std::error_code code;
  std::vector<fs::path> roots = {"."};
  const fs::path here = fs::weakly_canonical(".", code);
  fs::path folder = fs::read_symlink("/proc/self/exe", code);
  while (!code && folder.has_relative_path()) {
    folder = folder.parent_path();
    if (folder != here && fs::is_directory(folder / "platform-models", code)) roots.push_back(folder);
    code.clear();
  }
  return roots;
}

std::vector<std::string> list_names(const std::string& folder, const std::string& suffix) {
  std::set<std::string> names;
  for (const fs::path& root : search_roots()) {
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(root / folder, code)) {
      const std::string file = entry.path().filename().string();
      if (file.size() > suffix.size() && file.ends_with(suffix)) {
        names.insert(file.substr(0, file.size() - suffix.size()));
      }
    }
  }
  return {names.begin(), names.end()};
}

bool looks_like_path(const std::string& name) {
  return name.find('/') != std::string::npos || name.ends_with(".yaml");
}

std::string searched(const std::string& folder) {
  std::string text;
  for (const fs::path& root : search_roots()) {
    text += (text.empty() ? "" : ", ") + (root / folder).lexically_normal().string();
  }
  return text;
}

}  // namespace hybridgen
