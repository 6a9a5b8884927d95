#include "formats/platform.hpp"

#include <filesystem>

#include "core/base/error.hpp"
#include "formats/platform_reader.hpp"
#include "formats/search_path.hpp"
#include "formats/yaml_reader.hpp"

namespace hybridgen {
namespace {

constexpr const char* kFolder = "platform-models";

}  // namespace

Platform load_platform(const std::string& path) {
  std::string text = read_text_file(path);
  Machine machine = machine_from(read_platform_description(text, path));
  return {std::move(machine), path, std::move(text)};
}

std::string find_platform(const std::string& name) {
  namespace fs = std::filesystem;
  if (looks_like_path(name)) {
    if (fs::exists(name)) return name;
    throw BadInput("platform " + name + ": no such file; check the path");
  }
  for (const fs::path& root : search_roots()) {
    const fs::path file = (root / kFolder / (name + ".yaml")).lexically_normal();
    if (fs::exists(file)) return file.string();
  }
  std::string remedy = name_remedy(name, list_platforms());
  if (name == "local") remedy = "describe this machine with: hybridgen calibrate (" + remedy + ")";
  throw BadInput("platform " + name + ": not found in " + searched(kFolder) + "; " + remedy);
}

std::vector<std::string> list_platforms() {
  return list_names(kFolder, ".yaml");
}

}  // namespace hybridgen
