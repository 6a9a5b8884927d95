#include "formats/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "core/base/error.hpp"

namespace hybridgen {
namespace {

constexpr const char* kSyntax = "syntax";

YamlPlace place_of(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {mark.line + 1, mark.column + 1, ""};
}

// A fault that ends the parse; yaml-cpp's own come as YAML::Exception.
struct SyntaxError {
  YamlPlace place;
  std::string what;
};

// The order of explicit keys stays; a merged mapping's keys follow where the mapping has none of that name.
void resolve_merges(YamlNode& mapping) {
  std::vector<YamlEntry> own;
  std::vector<const YamlNode*> merged;
  for (YamlEntry& entry : mapping.entries) {
    if (entry.key != "<<") {
      own.push_back(std::move(entry));
    } else if (entry.value->kind == YamlKind::mapping) {
      merged.push_back(entry.value.get());
    } else {
      for (const YamlPtr& item : entry.value->items) merged.push_back(item.get());
    }
  }
  for (const YamlNode* source : merged) {
    for (const YamlEntry& entry : source->entries) {
      const bool there =
          std::any_of(own.begin(), own.end(), [&](const YamlEntry& e) { return e.key == entry.key; });
      if (!there) own.push_back(entry);
    }
  }
  mapping.entries = std::move(own);
}

class TreeBuilder final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { leaf(YamlKind::null, mark, anchor); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    leaf(YamlKind::scalar, mark, anchor, value, tag != "?");
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw SyntaxError{place_of(mark), "unknown alias; define its anchor first"};
    for (const Level& level : open_) {
      if (level.node == found->second) {
        throw SyntaxError{place_of(mark), "an alias inside its own anchor; write the value out"};
      }
    }
    attach(found->second, place_of(mark));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlKind::sequence, mark, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlKind::mapping, mark, anchor);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapEnd() override {
    for (const YamlEntry& entry : open_.back().node->entries) check_merge(entry);
    resolve_merges(*open_.back().node);
    open_.pop_back();
  }

  YamlPtr take() { return root_ ? root_ : std::make_shared<YamlNode>(); }

 private:
  struct Level {
    YamlPtr node;
    std::optional<YamlEntry> key;  // of a mapping: read, its value still to come
  };

  static void check_merge(const YamlEntry& entry) {
    if (entry.key != "<<") return;
    const YamlNode& value = *entry.value;
    const bool list = value.kind == YamlKind::sequence &&
                      std::all_of(value.items.begin(), value.items.end(),
                                  [](const YamlPtr& item) { return item->kind == YamlKind::mapping; });
    if (value.kind == YamlKind::mapping || list) return;
    throw SyntaxError{entry.place, "<< merges mappings only; give it an alias of a mapping"};
  }

  YamlPtr leaf(YamlKind kind, const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& text = "",
               bool quoted = false) {
    const auto node = std::make_shared<YamlNode>();
    node->kind = kind;
    node->place = place_of(mark);
    node->text = text;
    node->quoted = quoted;
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    attach(node, node->place);
    return node;
  }

  void open(YamlKind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    open_.push_back({leaf(kind, mark, anchor), {}});
  }

  void attach(const YamlPtr& node, const YamlPlace& place) {
    if (open_.empty()) {
      root_ = node;
      return;
    }
    Level& level = open_.back();
    if (level.node->kind == YamlKind::sequence) {
      level.node->items.push_back(node);
    } else if (!level.key) {
      if (node->kind != YamlKind::scalar) throw SyntaxError{place, "a key must be a word; write key: value"};
      level.key = YamlEntry{node->text, place, nullptr};
    } else {
      level.key->value = node;
      level.node->entries.push_back(std::move(*level.key));
      level.key.reset();
    }
  }

  YamlPtr root_;
  std::vector<Level> open_;
  std::map<YAML::anchor_t, YamlPtr> anchors_;
};

}  // namespace

std::string YamlErrors::where(const YamlPlace& place, const std::string& path) const {
  std::string text = place.set;
  if (text.empty()) {
    text = file_ + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
  }
  return path.empty() ? text : text + ": " + path;
}

void YamlErrors::add(const YamlPlace& place, const std::string& path, const std::string& what) {
  messages_.push_back({place, where(place, path) + ": " + what});
}

void YamlErrors::throw_if_any() const {
  if (messages_.empty()) return;
  std::vector<Message> sorted = messages_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Message& a, const Message& b) {
    const bool a_set = !a.place.set.empty(), b_set = !b.place.set.empty();
    if (a_set || b_set) return a_set < b_set;  // the command line's after the file's, in the order found
    return a.place < b.place;
  });
  std::string text;
  for (const Message& message : sorted) text += (text.empty() ? "" : "\n") + message.text;
  throw BadInput(text);
}

YamlPtr parse_yaml(const std::string& text, YamlErrors& errors) {
  try {
    std::istringstream in(text);
    YAML::Parser parser(in);
    TreeBuilder builder;
    parser.HandleNextDocument(builder);
    TreeBuilder second;
    if (parser.HandleNextDocument(second)) {
      throw SyntaxError{second.take()->place, "a second document; keep one per file"};
    }
    return builder.take();
  } catch (const SyntaxError& error) {
    errors.add(error.place, kSyntax, error.what);
  } catch (const YAML::Exception& error) {
    errors.add(place_of(error.mark), kSyntax,
               error.msg + "; check the indentation, quotes and brackets here");
  }
  return nullptr;
}

std::string read_text_file(const std::string& path) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) {
    throw BadInput(path + ": is a folder; name a file");
  }
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || in.bad()) {
    throw BadInput(path + ": cannot be read (" + std::strerror(errno) + "); check the path");
  }
  return text.str();
}

namespace {

YamlPtr override_value(const std::string& value, const YamlPlace& place) {
  YamlErrors ignored("");
  YamlPtr node = parse_yaml(value, ignored);
  if (!node) {
    node = std::make_shared<YamlNode>();
    node->kind = YamlKind::scalar;
    node->text = value;
    node->quoted = true;
  }
  node->place = place;
  return node;
}

}  // namespace

void set_by_path(YamlPtr& root, const std::string& key_path, const std::string& value, YamlErrors& errors) {
  const YamlPlace place{0, 0, "--set " + key_path + "=" + value};
  YamlPtr* node = &root;
  std::istringstream in(key_path);
  std::string so_far;
  for (std::string key; std::getline(in, key, '.');) {
    if (*node == nullptr || (*node)->kind == YamlKind::null) {
      *node = std::make_shared<YamlNode>();
      (*node)->kind = YamlKind::mapping;
      (*node)->place = place;
    } else {
      *node = std::make_shared<YamlNode>(**node);
    }
    if ((*node)->kind != YamlKind::mapping) {
      errors.add(place, so_far, "has no keys of its own; set " + so_far + " itself");
      return;
    }
    std::vector<YamlEntry>& entries = (*node)->entries;
    auto found = std::find_if(entries.begin(), entries.end(), [&](auto& e) { return e.key == key; });
    if (found == entries.end()) found = entries.insert(entries.end(), {key, place, nullptr});
    so_far += (so_far.empty() ? "" : ".") + key;
    node = &found->value;
    if (so_far == key_path) found->place = place;
  }
  if (so_far != key_path || key_path.empty()) {
    errors.add(place, key_path, "is no key; write --set key.path=value");
    return;
  }
  *node = override_value(value, place);
}

void unset_by_path(YamlPtr& root, const std::string& key_path, YamlErrors& errors) {
  const YamlPlace place{0, 0, "--unset " + key_path};
  YamlPtr* node = &root;
  for (std::size_t begin = 0; begin <= key_path.size();) {
    const std::size_t dot = std::min(key_path.find('.', begin), key_path.size());
    const std::string key = key_path.substr(begin, dot - begin);
    if (*node == nullptr || (*node)->kind != YamlKind::mapping) break;
    *node = std::make_shared<YamlNode>(**node);
    std::vector<YamlEntry>& entries = (*node)->entries;
    const auto found = std::find_if(entries.begin(), entries.end(), [&](auto& e) { return e.key == key; });
    if (found == entries.end()) break;
    if (dot == key_path.size()) {
      entries.erase(found);
      return;
    }
    node = &found->value;
    begin = dot + 1;
  }
  errors.add(place, key_path, "is not there; leave it out, or write the key as the file does");
}

}  // namespace hybridgen
