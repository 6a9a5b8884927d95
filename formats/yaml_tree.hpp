// YAML text as a tree that remembers where everything stands. yaml-cpp's own nodes lose the position of
// aliases and hide duplicate keys, so the tree is built from its parser events; nothing else sees yaml-cpp.
#pragma once

#include <compare>
#include <memory>
#include <string>
#include <vector>

namespace hybridgen {

// Where something was written: a position in the file (1-based), or the command line's --set.
struct YamlPlace {
  int line = 1;
  int column = 1;
  std::string set;  // "--set key=value" or "--unset key"; empty for a position in the file
  friend auto operator<=>(const YamlPlace&, const YamlPlace&) = default;
};

// Collects what is wrong with one file, so that a user mends everything in one go.
class YamlErrors {
 public:
  explicit YamlErrors(std::string file) : file_(std::move(file)) {}
  // One line: file:line:col: path: what. `what` ends in the remedy.
  void add(const YamlPlace& place, const std::string& path, const std::string& what);
  // The beginning of a line: file:line:col: path.
  std::string where(const YamlPlace& place, const std::string& path) const;
  std::size_t count() const { return messages_.size(); }
  const std::string& file() const { return file_; }
  // Throws BadInput with all messages, in the order of their places.
  void throw_if_any() const;

 private:
  struct Message {
    YamlPlace place;
    std::string text;
  };
  std::string file_;
  std::vector<Message> messages_;
};

enum class YamlKind { null, scalar, sequence, mapping };

struct YamlNode;
using YamlPtr = std::shared_ptr<YamlNode>;

struct YamlEntry {
  std::string key;
  YamlPlace place;  // of the key
  YamlPtr value;
};

struct YamlNode {
  YamlKind kind = YamlKind::null;
  YamlPlace place;
  std::string text;                // scalar
  bool quoted = false;             // scalar: quoted, a block, or tagged; then it is text whatever it says
  std::vector<YamlPtr> items;      // sequence
  std::vector<YamlEntry> entries;  // mapping, duplicates included; merge keys (<<) are resolved
};

// One document. Null after a syntax error, which is then among the errors. An empty file gives a null node.
YamlPtr parse_yaml(const std::string& text, YamlErrors& errors);

// The whole file; throws BadInput when it cannot be read.
std::string read_text_file(const std::string& path);

// Sets root's key.path to a value given on the command line, over what the file says. A value that is no YAML
// is taken as text. The nodes on the way are copied: an anchor's other uses stay as they are.
void set_by_path(YamlPtr& root, const std::string& key_path, const std::string& value, YamlErrors& errors);

// Takes root's key.path out, with all that lies under it. A key that is not there is reported: it is a slip.
void unset_by_path(YamlPtr& root, const std::string& key_path, YamlErrors& errors);

}  // namespace hybridgen
