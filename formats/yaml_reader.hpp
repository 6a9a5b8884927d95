// Reads one YAML mapping key by key and checks everything: types, ranges, names, missing, unknown and
// duplicate keys. Nothing throws here; all faults are collected in YamlErrors, and a reading that failed
// returns nothing. Integers and decimals are read from their digits, never by way of double.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/yaml_tree.hpp"

namespace hybridgen {

enum class Need { required, optional };

// Both ends belong to the range, but for least where `above` is set.
struct NumberRange {
  double least = 0;
  double most = std::numeric_limits<double>::max();
  bool above = false;
};
inline constexpr NumberRange kAboveZero{0, std::numeric_limits<double>::max(), true};

struct IntegerRange {
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

// A number kept as an integer of 10^-digits, and its range in that unit: ppm has 6 digits.
struct DecimalRange {
  int digits = 6;
  std::int64_t least = 0;
  std::int64_t most = 0;
};

// Names that a value may take: choices, or what another section of the file defined.
struct NameSet {
  std::string noun;  // "kind", "channel"
  std::vector<std::string> names;
  bool complete = true;  // false: the section that defines them has faults, so nothing is said
  std::map<std::string, std::string> elsewhere{};  // names that are valid in another place, and in which
};

// A node with its key path, for messages.
struct YamlItem {
  const YamlNode* node = nullptr;
  std::string path;
};

class YamlMap {
 public:
  // Reports a node that is no mapping, and duplicate keys. Node and errors outlive the reader.
  YamlMap(const YamlItem& item, YamlErrors& errors);

  std::optional<std::string> text(const std::string& key, Need need);
  std::optional<double> number(const std::string& key, Need need, const NumberRange& range);
  std::optional<std::int64_t> integer(const std::string& key, Need need, const IntegerRange& range);
  std::optional<std::int64_t> decimal(const std::string& key, Need need, const DecimalRange& range);
  std::optional<bool> flag(const std::string& key, Need need);
  // The index of the value among the names.
  std::optional<std::size_t> choice(const std::string& key, Need need, const NameSet& set);
  // A list of names, each at most once, as indices. Absent and optional: an empty list.
  std::vector<std::size_t> choices(const std::string& key, Need need, const NameSet& set);
  // An item whose node is null where there is no such mapping; YamlMap of it reads nothing and says nothing.
  YamlItem map(const std::string& key, Need need);
  std::vector<YamlItem> list(const std::string& key, Need need);

  // A key that exists but has no place here: reported in these words instead of as unknown.
  void refuse(const std::string& key, const std::string& what);
  // A key about which nothing can be said, because another fault hides what it means.
  void skip(const std::string& key) { known_.push_back(key); }
  bool has(const std::string& key) const;
  // In the order of the file, duplicates once.
  std::vector<std::string> keys() const;
  // Says what is wrong with the value of a key, or with the mapping where the key is absent.
  void fault(const std::string& key, const std::string& what);
  // "file:line:col: path" of the value of a key that is there, to be said later.
  std::string where(const std::string& key) const;
  std::string path_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

  // After the last key: reports unknown keys, and required ones that are missing.
  void finish();

 private:
  // What a value must be, and how to write it: "a number", "a number above 0".
  struct Wanted {
    std::string kind;
    std::string written;
  };
  static Wanted wanted_name(const NameSet& set);

  const YamlEntry* find(const std::string& key) const;
  // The value, or null: absent, or empty, which is reported.
  const YamlNode* take(const std::string& key, Need need, const Wanted& wanted);
  std::optional<std::size_t> index_of(const YamlNode& node, const std::string& path, const NameSet& set);
  void wrong_type(const YamlNode& node, const std::string& path, const Wanted& wanted);

  const YamlNode* node_ = nullptr;
  std::string path_;
  YamlErrors& errors_;
  std::vector<std::string> known_;  // keys asked for
  struct Missing {
    std::string key;
    std::string written;
  };
  std::vector<Missing> missing_;
};

// The nearest of the names to a mistyped one; empty when none is near.
std::string nearest_name(const std::string& name, const std::vector<std::string>& names);
// "did you mean x? (valid: x, y)" or "valid: x, y".
std::string name_remedy(const std::string& name, const std::vector<std::string>& names);
// 50000 with 6 digits is "0.05".
std::string decimal_text(std::int64_t value, int digits);

}  // namespace hybridgen
