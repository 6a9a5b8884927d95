// Every key of every shipped YAML file, spoilt in every way: each time exactly one message, at the right
// place, with the key and a remedy. A spoiling that leaves the file valid is listed with its reason.
#include <algorithm>
#include <set>

#include "formats/experiment_reader.hpp"
#include "formats/model.hpp"
#include "formats/platform_reader.hpp"
#include "formats/yaml_text.hpp"
#include "formats/yaml_tree.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

namespace fs = std::filesystem;

enum class Spoil { none, typo, negative, text, nan, empty, duplicate, missing };

// Keys whose absence is allowed, and why.
const std::set<std::string> kOptional = {
    "description",  // for people
    "emulated",
    "numa_node",
    "threads",
    "first_core",  // have a stated default
    "links",       // none beyond the memories' own channels
    "compute_GFLOPs",
    "scan_Gitems_per_s",
    "row_ns",  // no limit of its own
    "attention",
    "feedback",
    "placement",
    "admission",
    "lookahead",
    "prompt_start",
    "kv_dtype",
    "outcomes",                 // the preset's parts, fp16, seeded
    "stop_at_end_of_sequence",  // false
    "weights",                  // from files
    "assume_max_context",       // the published one
};
// Keys that hold free text: any word is a valid value. (A number is not, unless quoted.)
const std::set<std::string> kText = {"platform", "model", "description", "name", "source", "prompt_file"};

// Writes a tree as block YAML, spoiling the key with a given number, and notes where its message must point.
class SpoilingWriter {
 public:
  SpoilingWriter(int target, Spoil spoil) : target_(target), spoil_(spoil) {}

  void mapping(const YamlNode& node, const std::string& path, std::size_t indent, bool inline_first) {
    const std::string start = place_after(inline_first ? 0 : indent);
    bool written = false;
    for (const YamlEntry& entry : node.entries) {
      const bool hit = seen_++ == target_;
      const std::string key_path = path.empty() ? entry.key : path + "." + entry.key;
      if (hit) {
        key = entry.key;
        key_node = entry.value.get();
        expected_path = key_path + (spoil_ == Spoil::typo ? "x" : "");
        parent = path.substr(path.rfind('.') + 1);
      }
      if (hit && spoil_ == Spoil::missing) {
        expected_place = start;
        skip_numbers(*entry.value);
        continue;
      }
      const int copies = hit && spoil_ == Spoil::duplicate ? 2 : 1;
      const int first_number = seen_;
      for (int copy = 0; copy < copies; ++copy) {
        seen_ = first_number;
        if (written || !inline_first) out += std::string(indent, ' ');
        written = true;
        if (hit && (spoil_ == Spoil::typo || spoil_ == Spoil::duplicate || spoil_ == Spoil::empty)) {
          expected_place = place_after(0);
        }
        out += entry.key + (hit && spoil_ == Spoil::typo ? "x:" : ":");
        value(*entry.value, key_path, indent, hit);
      }
    }
    if (!written) out += std::string(inline_first ? 0 : indent, ' ') + "{}\n";
  }

  std::string out, expected_place, expected_path, key, parent;
  const YamlNode* key_node = nullptr;

 private:
  void value(const YamlNode& node, const std::string& path, std::size_t indent, bool hit) {
    const char* words[] = {nullptr, nullptr, " -1", " abc", " .nan", "", nullptr, nullptr};
    const char* word = hit ? words[static_cast<int>(spoil_)] : nullptr;
    if (word != nullptr) {
      if (spoil_ != Spoil::empty) expected_place = place_after(1);
      out += std::string(word) + "\n";
      skip_numbers(node);
    } else if (node.kind == YamlKind::scalar) {
      out += " " + (node.quoted ? yaml_string(node.text) : node.text) + "\n";
    } else if (node.kind == YamlKind::mapping) {
      out += "\n";
      mapping(node, path, indent + 2, false);
    } else {
      sequence(node, path, indent + 2);
    }
  }

  void sequence(const YamlNode& node, const std::string& path, std::size_t indent) {
    out += node.items.empty() ? " []\n" : "\n";
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      out += std::string(indent, ' ') + "- ";
      const YamlNode& item = *node.items[i];
      if (item.kind == YamlKind::mapping) {
        mapping(item, path + "[" + std::to_string(i) + "]", indent + 2, true);
      } else {
        out += item.text + "\n";
      }
    }
  }

  void skip_numbers(const YamlNode& node) {
    for (const YamlEntry& entry : node.entries) {
      ++seen_;
      skip_numbers(*entry.value);
    }
    for (const YamlPtr& item : node.items) skip_numbers(*item);
  }

  std::string place_after(std::size_t spaces) const {
    const auto lines = std::count(out.begin(), out.end(), '\n');
    const std::size_t newline = out.rfind('\n');
    const std::size_t column = out.size() - (newline == std::string::npos ? 0 : newline + 1);
    return std::to_string(lines + 1) + ":" + std::to_string(column + spaces + 1);
  }

  int target_;
  Spoil spoil_;
  int seen_ = 0;
};

struct Shipped {
  std::string path;
  std::function<void(const std::string&)> load;
};

std::vector<Shipped> shipped() {
  std::vector<Shipped> files;
  for (const auto& [folder, load] :
       std::initializer_list<std::pair<std::string, std::function<void(const std::string&)>>>{
           {"platform-models", [](const std::string& text) { read_platform_description(text, "f.yaml"); }},
           {"configs/demo", [](const std::string& text) { read_experiment(text, "f.yaml"); }},
           {"configs/batch", [](const std::string& text) { read_experiment(text, "f.yaml"); }},
           {"configs/h100", [](const std::string& text) { read_experiment(text, "f.yaml"); }},
           {"configs/grid", [](const std::string& text) { read_experiment(text, "f.yaml"); }},
           {"configs/models", [](const std::string& text) { read_model_yaml(text, "f.yaml"); }}}) {
    for (const auto& entry : fs::directory_iterator(source_path(folder))) {
      if (entry.path().filename() == "local.yaml") continue;  // of this machine, not shipped
      if (entry.path().extension() != ".yaml") continue;
      files.push_back({entry.path().string(), load});
    }
  }
  for (const auto& entry : fs::recursive_directory_iterator(source_path("traces"))) {
    const std::string name = entry.path().filename().string();
    if (name == "platform.yaml" || name == "card.yaml") {
      files.push_back({entry.path().string(),
                       [](const std::string& text) { read_platform_description(text, "f.yaml"); }});
    }
    if (name == "experiment.yaml") {
      files.push_back(
          {entry.path().string(), [](const std::string& text) { read_experiment(text, "f.yaml"); }});
    }
  }
  return files;
}

bool has_default(const std::string& parameter) {
  for (const PartEntry& part : part_registry()) {
    for (const ParamSpec& spec : part.params) {
      if (spec.name == parameter && spec.otherwise) return true;
    }
  }
  return false;
}

bool optional_here(const SpoilingWriter& w) {
  // `choose` has no parameters that would tell that it is missing; `use` and `auto` want both switches.
  if (w.key == "lookahead") return w.key_node->text == "choose" || w.key_node->text == "off";
  if (w.key == "lookahead_predictor" || w.key == "lookahead_correct") return false;
  if (kOptional.contains(w.key) || (w.parent == "policy" && has_default(w.key))) return true;
  if (w.parent == "feedback" && has_default("feedback." + w.key)) return true;
  if (w.key == "split" && w.key_node->text == "fixed") return true;  // the preset's own
  OpKind kind = OpKind::embed;
  if (w.parent == "kernels" && parse_op_kind(w.key, kind)) return true;  // default holds then
  const bool kernel = w.expected_path.find(".kernels.") != std::string::npos;
  return kernel && w.key == "bandwidth_GBps";
}

bool stays_valid(const SpoilingWriter& w, Spoil spoil) {
  if (spoil == Spoil::text) {
    // `source` is a choice under outcomes; `platform` and `model` are words at the top only.
    return kText.contains(w.key) && w.parent != "outcomes";
  }
  return spoil == Spoil::missing && optional_here(w);
}

int spoil_all(const Shipped& file, Spoil spoil) {
  YamlErrors errors(file.path);
  const YamlPtr root = parse_yaml(slurp(file.path), errors);
  int cases = 0;
  for (int target = 0;; ++target) {
    SpoilingWriter writer(target, spoil);
    writer.mapping(*root, "", 0, false);
    if (writer.key.empty()) return cases;
    const std::string message = complaint([&] { file.load(writer.out); });
    ++cases;
    if (stays_valid(writer, spoil)) {
      if (spoil == Spoil::missing) {
        EXPECT_EQ(message, "") << file.path << " without " << writer.expected_path;
      }
      continue;
    }
    const std::string start = "f.yaml:" + writer.expected_place + ": " + writer.expected_path + ": ";
    EXPECT_EQ(message.substr(0, start.size()), start) << file.path << "\n" << message;
    EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 0) << file.path << "\n" << message;
    EXPECT_NE(message.find("; "), std::string::npos) << message;
  }
}

void spoil_shipped(Spoil spoil) {
  int cases = 0;
  for (const Shipped& file : shipped()) cases += spoil_all(file, spoil);
  EXPECT_GT(cases, 200);
}

TEST(BadInput, nothing_spoilt_loads) {
  for (const Shipped& file : shipped()) {
    YamlErrors errors(file.path);
    SpoilingWriter writer(-1, Spoil::none);
    writer.mapping(*parse_yaml(slurp(file.path), errors), "", 0, false);
    EXPECT_EQ(complaint([&] { file.load(writer.out); }), "") << writer.out;
  }
}
TEST(BadInput, typo_one_message) {
  spoil_shipped(Spoil::typo);
}
TEST(BadInput, negative_one_message) {
  spoil_shipped(Spoil::negative);
}
TEST(BadInput, text_for_a_number_one_message) {
  spoil_shipped(Spoil::text);
}
TEST(BadInput, not_a_number_one_message) {
  spoil_shipped(Spoil::nan);
}
TEST(BadInput, no_value_one_message) {
  spoil_shipped(Spoil::empty);
}
TEST(BadInput, duplicate_one_message) {
  spoil_shipped(Spoil::duplicate);
}
TEST(BadInput, missing_one_message_where_required) {
  spoil_shipped(Spoil::missing);
}

}  // namespace
}  // namespace hybridgen
