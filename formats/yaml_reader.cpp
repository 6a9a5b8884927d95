#include "formats/yaml_reader.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <sstream>

#include "formats/yaml_scalar.hpp"

namespace hybridgen {
namespace {

std::string short_number(double value) {
  std::ostringstream text;
  text.precision(15);
  text << value;
  return text.str();
}

std::string words_of(const NumberRange& range) {
  const bool open = range.most == std::numeric_limits<double>::max();
  if (!open) return "between " + short_number(range.least) + " and " + short_number(range.most);
  return (range.above ? "above " : "of at least ") + short_number(range.least);
}

std::string words_of(const std::string& least, const std::string& most, bool open) {
  return open ? "of at least " + least : "between " + least + " and " + most;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string nearest_name(const std::string& name, const std::vector<std::string>& names) {
  constexpr std::size_t kLongest = 100;  // nobody mistypes more; keeps the table small
  if (name.empty() || name.size() > kLongest) return "";
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, name.size() / 3) + 1;
  for (const std::string& candidate : names) {
    const std::size_t distance = edit_distance(lower(name), lower(candidate));
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  if (!best.empty()) return best;
  constexpr std::size_t kStem = 3;  // bandwidth for bandwidth_GBps
  for (const std::string& candidate : names) {
    if (name.size() >= kStem && lower(candidate).starts_with(lower(name))) return candidate;
  }
  return "";
}

std::string name_remedy(const std::string& name, const std::vector<std::string>& names) {
  const std::string near = nearest_name(name, names);
  const std::string valid = names.empty() ? "none is defined" : "valid: " + list_of(names);
  return near.empty() ? valid : "did you mean " + near + "? (" + valid + ")";
}

std::string decimal_text(std::int64_t value, int digits) {
  std::string all = std::to_string(value);
  const bool negative = all[0] == '-';
  if (negative) all.erase(0, 1);
  const auto places = static_cast<std::size_t>(digits);
  if (all.size() <= places) all = std::string(places + 1 - all.size(), '0') + all;
  const std::string whole = all.substr(0, all.size() - places);
  std::string fraction = all.substr(all.size() - places);
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  std::string text = negative ? "-" : "";
  text += whole;
  if (!fraction.empty()) text += "." + fraction;
  return text;
}

YamlMap::YamlMap(const YamlItem& item, YamlErrors& errors) : path_(item.path), errors_(errors) {
  if (item.node == nullptr) return;
  if (item.node->kind != YamlKind::mapping) {
    wrong_type(*item.node, path_, {"a mapping", "key: value below it"});
    return;
  }
  node_ = item.node;
  for (auto entry = node_->entries.begin(); entry != node_->entries.end(); ++entry) {
    const auto first =
        std::find_if(node_->entries.begin(), entry, [&](const YamlEntry& e) { return e.key == entry->key; });
    if (first == entry) continue;
    errors_.add(
        entry->place, path_of(entry->key),
        "duplicate key, first written in line " + std::to_string(first->place.line) + "; remove one of them");
  }
}

const YamlEntry* YamlMap::find(const std::string& key) const {
  if (node_ == nullptr) return nullptr;
  for (const YamlEntry& entry : node_->entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

bool YamlMap::has(const std::string& key) const {
  return find(key) != nullptr;
}

std::vector<std::string> YamlMap::keys() const {
  std::vector<std::string> keys;
  if (node_ == nullptr) return keys;
  for (const YamlEntry& entry : node_->entries) {
    if (std::find(keys.begin(), keys.end(), entry.key) == keys.end()) keys.push_back(entry.key);
  }
  return keys;
}

YamlMap::Wanted YamlMap::wanted_name(const NameSet& set) {
  return {"a " + set.noun, "a " + set.noun + " (" + name_remedy("", set.names) + ")"};
}

const YamlNode* YamlMap::take(const std::string& key, Need need, const Wanted& wanted) {
  known_.push_back(key);
  const YamlEntry* entry = find(key);
  if (entry == nullptr) {
    if (need == Need::required && node_ != nullptr) missing_.push_back({key, wanted.written});
    return nullptr;
  }
  if (entry->value->kind == YamlKind::null) {
    errors_.add(entry->place, path_of(key), "has no value; write " + wanted.written);
    return nullptr;
  }
  return entry->value.get();
}

void YamlMap::wrong_type(const YamlNode& node, const std::string& path, const Wanted& wanted) {
  std::string remedy = "write " + wanted.written;
  if (node.kind == YamlKind::scalar && node.quoted) {
    YamlNode plain = node;
    plain.quoted = false;
    if (is_number(plain)) remedy = "remove the quotes";
  }
  errors_.add(node.place, path,
              "expected " + wanted.kind + ", found " + description_of(node) + "; " + remedy);
}

std::optional<std::string> YamlMap::text(const std::string& key, Need need) {
  const Wanted expected{"text", "text"};
  const YamlNode* node = take(key, need, expected);
  if (node == nullptr) return std::nullopt;
  if (node->kind != YamlKind::scalar) {
    wrong_type(*node, path_of(key), expected);
  } else if (is_number(*node) || is_not_finite(*node)) {
    errors_.add(node->place, path_of(key),
                "expected text, found " + description_of(*node) + "; put it in quotes if it is meant");
  } else if (node->text.find_first_not_of(" \t\r\n") == std::string::npos) {
    errors_.add(node->place, path_of(key), "is empty; write text");
  } else {
    return node->text;
  }
  return std::nullopt;
}

std::optional<double> YamlMap::number(const std::string& key, Need need, const NumberRange& range) {
  const Wanted expected{"a number", "a number " + words_of(range)};
  const YamlNode* node = take(key, need, expected);
  if (node == nullptr) return std::nullopt;
  if (!is_number(*node)) {
    wrong_type(*node, path_of(key), expected);
    return std::nullopt;
  }
  const char* begin = node->text.data() + (node->text[0] == '+' ? 1 : 0);
  const char* end = node->text.data() + node->text.size();
  double value = 0;
  const bool fits = std::from_chars(begin, end, value).ec == std::errc();
  if (!fits || value < range.least || value > range.most || (range.above && value == range.least)) {
    errors_.add(node->place, path_of(key), node->text + " is out of range; write " + expected.written);
    return std::nullopt;
  }
  return value;
}

std::optional<std::int64_t> YamlMap::integer(const std::string& key, Need need, const IntegerRange& range) {
  const bool open = range.most == std::numeric_limits<std::int64_t>::max();
  const Wanted expected{
      "an integer", "an integer " + words_of(std::to_string(range.least), std::to_string(range.most), open)};
  const YamlNode* node = take(key, need, expected);
  if (node == nullptr) return std::nullopt;
  const bool digits_only = is_number(*node) && node->text.find_first_of(".eE") == std::string::npos;
  if (!digits_only) {
    wrong_type(*node, path_of(key), expected);
    return std::nullopt;
  }
  const Decimal read = to_decimal(node->text, 0);
  if (read.fault != DecimalFault::none || read.value < range.least || read.value > range.most) {
    errors_.add(node->place, path_of(key), node->text + " is out of range; write " + expected.written);
    return std::nullopt;
  }
  return read.value;
}

std::optional<std::int64_t> YamlMap::decimal(const std::string& key, Need need, const DecimalRange& range) {
  const Wanted expected{"a number", "a number " + words_of(decimal_text(range.least, range.digits),
                                                           decimal_text(range.most, range.digits), false)};
  const YamlNode* node = take(key, need, expected);
  if (node == nullptr) return std::nullopt;
  if (!is_number(*node)) {
    wrong_type(*node, path_of(key), expected);
    return std::nullopt;
  }
  const Decimal read = to_decimal(node->text, range.digits);
  if (read.fault == DecimalFault::too_fine) {
    errors_.add(node->place, path_of(key),
                node->text + " has more digits than are kept; round it to a multiple of " +
                    decimal_text(1, range.digits));
    return std::nullopt;
  }
  if (read.fault == DecimalFault::too_large || read.value < range.least || read.value > range.most) {
    errors_.add(node->place, path_of(key), node->text + " is out of range; write " + expected.written);
    return std::nullopt;
  }
  return read.value;
}

std::optional<bool> YamlMap::flag(const std::string& key, Need need) {
  const Wanted expected{"true or false", "true or false"};
  const YamlNode* node = take(key, need, expected);
  if (node == nullptr) return std::nullopt;
  const bool word = node->kind == YamlKind::scalar && !node->quoted;
  if (word && node->text == "true") return true;
  if (word && node->text == "false") return false;
  wrong_type(*node, path_of(key), expected);
  return std::nullopt;
}

std::optional<std::size_t> YamlMap::index_of(const YamlNode& node, const std::string& path,
                                             const NameSet& set) {
  if (node.kind != YamlKind::scalar || is_number(node) || is_not_finite(node)) {
    wrong_type(node, path, wanted_name(set));
    return std::nullopt;
  }
  const auto found = std::find(set.names.begin(), set.names.end(), node.text);
  if (found != set.names.end()) return static_cast<std::size_t>(found - set.names.begin());
  const auto other = set.elsewhere.find(node.text);
  if (other != set.elsewhere.end()) {
    errors_.add(node.place, path,
                "'" + node.text + "' is for " + other->second + "; valid here: " + list_of(set.names));
  } else if (set.complete) {
    errors_.add(node.place, path,
                "unknown " + set.noun + " '" + node.text + "'; " + name_remedy(node.text, set.names));
  }
  return std::nullopt;
}

std::optional<std::size_t> YamlMap::choice(const std::string& key, Need need, const NameSet& set) {
  const YamlNode* node = take(key, need, wanted_name(set));
  return node == nullptr ? std::nullopt : index_of(*node, path_of(key), set);
}

std::vector<std::size_t> YamlMap::choices(const std::string& key, Need need, const NameSet& set) {
  std::vector<std::size_t> chosen;
  for (const YamlItem& item : list(key, need)) {
    if (item.node->kind == YamlKind::null) {
      wrong_type(*item.node, item.path, wanted_name(set));
      continue;
    }
    const auto index = index_of(*item.node, item.path, set);
    if (!index) continue;
    if (std::find(chosen.begin(), chosen.end(), *index) != chosen.end()) {
      errors_.add(item.node->place, item.path, "'" + item.node->text + "' stands here twice; remove one");
      continue;
    }
    chosen.push_back(*index);
  }
  return chosen;
}

YamlItem YamlMap::map(const std::string& key, Need need) {
  const YamlNode* node = take(key, need, {"a mapping", "key: value below it"});
  return {node, path_of(key)};
}

std::vector<YamlItem> YamlMap::list(const std::string& key, Need need) {
  const Wanted expected{"a list", "a list, [a, b]"};
  const YamlNode* node = take(key, need, expected);
  std::vector<YamlItem> items;
  if (node == nullptr) return items;
  if (node->kind != YamlKind::sequence) {
    wrong_type(*node, path_of(key), expected);
    return items;
  }
  if (need == Need::required && node->items.empty()) {
    errors_.add(node->place, path_of(key), "is an empty list; write at least one entry");
  }
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    items.push_back({node->items[i].get(), path_of(key) + "[" + std::to_string(i) + "]"});
  }
  return items;
}

void YamlMap::refuse(const std::string& key, const std::string& what) {
  const YamlEntry* entry = find(key);
  if (entry == nullptr) return;
  known_.push_back(key);
  errors_.add(entry->place, path_of(key), what);
}

void YamlMap::fault(const std::string& key, const std::string& what) {
  const YamlEntry* entry = find(key);
  if (entry != nullptr) {
    errors_.add(entry->value->place, path_of(key), what);
  } else if (node_ != nullptr) {
    errors_.add(node_->place, path_of(key), what);
  }
}

std::string YamlMap::where(const std::string& key) const {
  return errors_.where(find(key)->value->place, path_of(key));
}

// A mistyped required key is one fault, not two: its missing half is left out.
void YamlMap::finish() {
  if (node_ == nullptr) return;
  std::vector<std::string> unused;
  for (const std::string& key : known_) {
    if (!has(key) && std::find(unused.begin(), unused.end(), key) == unused.end()) unused.push_back(key);
  }
  for (const std::string& key : keys()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    std::string near = nearest_name(key, unused);
    std::erase_if(missing_, [&](const Missing& missing) { return missing.key == near; });
    if (near.empty()) near = nearest_name(key, known_);
    errors_.add(
        find(key)->place, path_of(key),
        "unknown key; " + (near.empty() ? "valid here: " + list_of(known_) : "did you mean " + near + "?"));
  }
  for (const Missing& missing : missing_) {
    errors_.add(node_->place, path_of(missing.key), "missing; add " + missing.key + ": " + missing.written);
  }
}

}  // namespace hybridgen
