// docs/formats.md is written by hand; this holds it against what the code accepts and writes.
#include <set>
#include <sstream>

#include "core/machine/op_kind.hpp"
#include "core/policy/registry.hpp"
#include "formats/yaml_tree.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

void collect_keys(const YamlNode& node, std::set<std::string>& keys) {
  for (const YamlEntry& entry : node.entries) {
    keys.insert(entry.key);
    collect_keys(*entry.value, keys);
  }
  for (const YamlPtr& item : node.items) collect_keys(*item, keys);
}

TEST(Docs, every_name_is_described) {
  std::set<std::string> names;
  for (int i = 0; i < kOpKinds; ++i) names.insert(name_of(static_cast<OpKind>(i)));
  for (const PresetEntry& preset : preset_registry()) names.insert(preset.name);
  for (const PartEntry& part : part_registry()) {
    names.insert(part.name);
    for (const ParamSpec& spec : part.params) names.insert(spec.name);
  }
  for (const char* folder :
       {"platform-models", "configs/batch", "configs/demo", "configs/h100", "configs/models"}) {
    for (const auto& entry : std::filesystem::directory_iterator(source_path(folder))) {
      YamlErrors errors("");
      collect_keys(*parse_yaml(slurp(entry.path()), errors), names);
    }
  }
  const std::string docs = slurp(source_path("docs/formats.md"));
  for (const std::string& name : names) {
    const bool described = docs.find("`" + name + "`") != std::string::npos ||
                           docs.find("." + name + "`") != std::string::npos ||
                           docs.find("`" + name + "[]`") != std::string::npos ||
                           docs.find("\n" + name + ":") != std::string::npos;
    EXPECT_TRUE(described) << name;
  }
}

}  // namespace
}  // namespace hybridgen
