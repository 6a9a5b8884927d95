// docs/formats.md is written by hand; this holds it against what the code accepts and writes.
#include <set>
#include <sstream>

#include "core/machine/op_kind.hpp"
#include "core/policy/registry.hpp"
#include "formats/experiment_reader.hpp"
#include "formats/policy_reader.hpp"
#include "formats/yaml_reader.hpp"
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
  for (const char* folder : {"platform-models", "configs/batch", "configs/budget", "configs/demo",
                             "configs/h100", "configs/models"}) {
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
    EXPECT_TRUE(described) << "docs/formats.md does not say what `" << name << "` is; add it there";
  }
}

// Fenced blocks of a language.
std::vector<std::string> blocks_of(const std::string& text, const std::string& language) {
  std::vector<std::string> blocks;
  const std::string fence = "```" + language + "\n";
  for (std::size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at + 1)) {
    const std::size_t start = at + fence.size();
    blocks.push_back(text.substr(start, text.find("```", start) - start));
  }
  return blocks;
}

TEST(Docs, examples_of_experiments_load) {
  int examples = 0;
  for (const char* file : {"docs/formats.md", "docs/use-guide.md"}) {
    for (const std::string& block : blocks_of(slurp(source_path(file)), "yaml")) {
      if (block.find("workload:") == std::string::npos) continue;
      EXPECT_EQ(complaint([&] { read_experiment(block, file); }), "") << block;
      ++examples;
    }
  }
  EXPECT_GE(examples, 2);
}

TEST(Docs, parameter_table_is_the_schemas) {
  const std::string docs = slurp(source_path("docs/formats.md"));
  EXPECT_NE(docs.find(parameter_table()), std::string::npos)
      << "docs/formats.md must have this table, as `hybridgen list parameters` prints it:\n"
      << parameter_table();
}

}  // namespace
}  // namespace hybridgen
