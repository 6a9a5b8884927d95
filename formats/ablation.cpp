#include "formats/ablation.hpp"

#include <algorithm>
#include <filesystem>

#include "formats/yaml_reader.hpp"

namespace hybridgen {
namespace {

// Paths in the file are relative to the file.
std::string beside(const std::string& file, const std::string& written) {
  namespace fs = std::filesystem;
  const fs::path path(written);
  return path.is_absolute() ? written : (fs::path(file).parent_path() / path).lexically_normal().string();
}

class AblationReader {
 public:
  AblationReader(const YamlNode& root, const std::string& path, YamlErrors& errors)
      : root_({&root, ""}, errors), path_(path), errors_(errors) {}

  Ablation read() {
    out_.title = root_.text("title", Need::required).value_or("");
    experiment_ = root_.text("experiment", Need::required).value_or("");
    for (const YamlItem& item : root_.list("platforms", Need::optional)) {
      out_.platforms.push_back(plain(item, "a platform's name"));
    }
    for (const YamlItem& item : root_.list("prompt_tokens", Need::optional)) contexts(item);
    for (const YamlItem& item : root_.list("variants", Need::required)) variant(item);
    root_.finish();
    return out_;
  }

 private:
  std::string plain(const YamlItem& item, const char* wanted) {
    if (item.node->kind == YamlKind::scalar) return item.node->text;
    errors_.add(item.node->place, item.path, std::string("expected ") + wanted + "; write a word");
    return "";
  }

  void contexts(const YamlItem& item) {
    const std::string text = plain(item, "an integer");
    const bool digits = !text.empty() && text.size() < 10 &&
                        std::all_of(text.begin(), text.end(), [](char c) { return '0' <= c && c <= '9'; });
    if (digits && std::stoll(text) > 0) {
      out_.prompt_tokens.push_back(std::stoll(text));
    } else {
      errors_.add(item.node->place, item.path, "expected an integer; write tokens of the prompt, 1 or more");
    }
  }

  void variant(const YamlItem& item) {
    YamlMap map(item, errors_);
    AblationVariant variant;
    variant.name = map.text("name", Need::required).value_or("");
    variant.experiment = beside(path_, map.text("experiment", Need::optional).value_or(experiment_));
    for (const YamlItem& key : map.list("unset", Need::optional)) {
      variant.changes.push_back({plain(key, "a key"), std::nullopt});
    }
    const YamlItem set = map.map("set", Need::optional);
    if (set.node != nullptr) changes(set, variant);
    map.finish();
    for (const AblationVariant& other : out_.variants) {
      if (other.name == variant.name) map.fault("name", "is taken; give every variant a name of its own");
    }
    out_.variants.push_back(variant);
  }

  // Keys are those of an experiment, written with dots; values as in an experiment.
  void changes(const YamlItem& set, AblationVariant& variant) {
    for (const YamlEntry& entry : set.node->entries) {
      const std::string path = set.path + "." + entry.key;
      variant.changes.push_back({entry.key, plain({entry.value.get(), path}, "a value")});
    }
  }

  YamlMap root_;
  std::string path_;
  YamlErrors& errors_;
  std::string experiment_;
  Ablation out_;
};

}  // namespace

Ablation load_ablation(const std::string& path) {
  YamlErrors errors(path);
  const YamlPtr root = parse_yaml(read_text_file(path), errors);
  errors.throw_if_any();
  Ablation ablation = AblationReader(*root, path, errors).read();
  errors.throw_if_any();
  return ablation;
}

}  // namespace hybridgen
