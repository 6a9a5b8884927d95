// docs/formats.md is written by hand; this holds it against what the code accepts and writes.
#include <set>
#include <sstream>

#include "core/machine/op_kind.hpp"
#include "core/policy/registry.hpp"
#include "formats/experiment_reader.hpp"
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

// The parameter table says what the schemas say: range and default, in the file's own numbers.
TEST(Docs, parameter_table_equals_the_schemas) {
  const std::string docs = slurp(source_path("docs/formats.md"));
  std::set<std::string> in_schemas;
  for (const PartEntry& part : part_registry()) {
    for (const ParamSpec& spec : part.params) {
      const std::string start =
          std::string("| ") + part.slot() + ": `" + part.name + "` | `" + spec.name + "` | ";
      in_schemas.insert(start);
      const std::size_t at = docs.find(start);
      ASSERT_NE(at, std::string::npos) << start;
      const std::string row = docs.substr(at, docs.find('\n', at) - at);
      const int digits = digits_of(spec.kind);
      if (spec.kind != ParamKind::tokens) {
        EXPECT_NE(
            row.find(" | " + decimal_text(spec.least, digits) + " to " + decimal_text(spec.most, digits)),
            std::string::npos)
            << row;
      } else {
        EXPECT_NE(row.find("integer of at least " + std::to_string(spec.least)), std::string::npos) << row;
      }
      const std::string otherwise = spec.otherwise ? decimal_text(*spec.otherwise, digits) : "required";
      EXPECT_TRUE(row.ends_with("| " + otherwise + " |")) << row;
    }
  }
  // No row of a parameter that is gone.
  for (const std::string& slot : part_slots()) {
    const std::string mark = "\n| " + slot + ": `";
    for (std::size_t at = docs.find(mark); at != std::string::npos; at = docs.find(mark, at + 1)) {
      std::size_t end = at;
      for (int bars = 0; bars < 3; ++bars) end = docs.find('|', end + 1);
      EXPECT_TRUE(in_schemas.contains(docs.substr(at + 1, end + 2 - at - 1))) << docs.substr(at, 60);
    }
  }
}

}  // namespace
}  // namespace hybridgen
