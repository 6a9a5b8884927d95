#include "formats/policy_reader.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "formats/yaml_text.hpp"

namespace hybridgen {
namespace {

// The key at the top of the section: `feedback` of feedback.interval.
std::string top_key(const std::string& name) {
  return name.substr(0, name.find('.'));
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class PolicyReader {
 public:
  PolicyReader(const YamlItem& item, YamlErrors& errors) : map_(item, errors), errors_(errors) {}

  PolicyChoice read() {
    NameSet presets{"preset", {}, true};
    for (const PresetEntry& preset : preset_registry()) presets.names.push_back(preset.name);
    const auto preset = map_.choice("preset", Need::required, presets);
    if (preset) out_.composition = preset_registry()[*preset].composition;
    compose(preset.has_value());
    const bool parts_known = preset && composed_ && !slot_is_misspelt() && !slot_is_missing();
    constexpr KvDtype kDtypes[] = {KvDtype::f16, KvDtype::f32, KvDtype::bf16, KvDtype::int8};
    NameSet dtypes{"kv_dtype", {}, true};
    for (const KvDtype dtype : kDtypes) dtypes.names.push_back(name_of(dtype));
    const auto dtype = map_.choice("kv_dtype", Need::optional, dtypes);
    if (dtype) out_.kv_dtype = kDtypes[*dtype];
    if (parts_known) {
      own_parameters();
      foreign_parameters();
    } else {
      skip_parameters();
    }
    for (auto& [name, group] : groups_) group.finish();
    map_.finish();
    return out_;
  }

 private:
  // The preset's parts, each replaced where the file says so.
  void compose(bool known_preset) {
    choose("attention", Need::optional);
    const std::string& attention = out_.composition.attention;
    const auto used = slots_of(attention);
    for (const std::string& slot : part_slots()) {
      if (slot == "attention") continue;
      if (!known_preset || !used) {
        choose(slot, Need::optional);
      } else if (!contains(*used, slot)) {
        map_.refuse(
            slot, "attention " + attention + " uses no " + slot + "; remove it or choose another attention");
        out_.composition.choice(slot)->clear();
      } else {
        // Empty where another attention replaces the preset's and needs more than the preset fills.
        bool open = out_.composition.choice(slot)->empty();
        if (open && !map_.has(slot) && find_part(slot, "off") != nullptr) {
          *out_.composition.choice(slot) = "off";  // what can be off is, until somebody asks for it
          open = false;
        }
        choose(slot, open ? Need::required : Need::optional);
        composed_ = composed_ && (!open || map_.has(slot));
      }
    }
  }

  void choose(const std::string& slot, Need need) {
    NameSet parts{slot + " part", {}, true};
    for (const PartEntry& part : part_registry()) {
      if (slot == part.slot()) parts.names.push_back(part.name);
    }
    const auto index = map_.choice(slot, need, parts);
    if (index) *out_.composition.choice(slot) = parts.names[*index];
    if (!index && map_.has(slot)) composed_ = false;
  }

  // A mistyped slot hides which part is meant, so which parameters are due; it is reported as unknown.
  bool slot_is_misspelt() const {
    std::vector<std::string> names{"preset", "kv_dtype"};
    for (const std::string& slot : part_slots()) names.push_back(slot);
    for (const PartEntry& part : part_registry()) {
      for (const ParamSpec& spec : part.params) names.push_back(top_key(spec.name));
    }
    std::vector<std::string> unused;
    std::copy_if(names.begin(), names.end(), std::back_inserter(unused),
                 [&](const std::string& name) { return !map_.has(name); });
    const auto written = map_.keys();
    return std::any_of(written.begin(), written.end(), [&](const std::string& key) {
      return !contains(names, key) && contains(part_slots(), nearest_name(key, unused));
    });
  }

  // Parameters that only another part than the preset's has, and none that only the preset's has: what is
  // missing is the choice of that part. One message instead of one per parameter.
  bool slot_is_missing() {
    bool missing = false;
    for (const std::string& slot : part_slots()) {
      const std::string& chosen = *out_.composition.choice(slot);
      if (map_.has(slot) || chosen.empty()) continue;
      const PartEntry& own = *find_part(slot, chosen);
      for (const PartEntry& part : part_registry()) {
        if (slot != part.slot() || part.name == chosen) continue;
        const auto evidence = written_only_by(part, own);
        if (!evidence || belongs_to_a_choice(*evidence) || written_only_by(own, part)) continue;
        map_.fault(slot, "missing, while " + *evidence + " belongs to " + slot + ": " + part.name +
                             " and the preset's is " + chosen + "; add " + slot + ": " + part.name);
        missing = true;
        break;
      }
    }
    return missing;
  }

  static bool has_key(const PartEntry& entry, const std::string& key) {
    return std::any_of(entry.params.begin(), entry.params.end(),
                       [&](const ParamSpec& spec) { return top_key(spec.name) == key; });
  }

  // A parameter of one of the parts that are chosen, in whatever slot: parts of different slots may share a
  // name, as budget_tokens.
  bool belongs_to_a_choice(const std::string& key) const {
    return std::any_of(part_slots().begin(), part_slots().end(), [&](const std::string& slot) {
      const std::string& chosen = *out_.composition.choice(slot);
      return !chosen.empty() && has_key(*find_part(slot, chosen), key);
    });
  }

  // A key in the file that is a parameter of one part and not of the other.
  std::optional<std::string> written_only_by(const PartEntry& part, const PartEntry& other) const {
    for (const ParamSpec& spec : part.params) {
      const std::string key = top_key(spec.name);
      if (map_.has(key) && !has_key(other, key)) return key;
    }
    return std::nullopt;
  }

  // The mapping that holds a parameter, and its key there.
  std::pair<YamlMap*, std::string> place_of(const std::string& name) {
    const auto dot = name.find('.');
    if (dot == std::string::npos) return {&map_, name};
    const std::string group = name.substr(0, dot);
    auto found = groups_.find(group);
    if (found == groups_.end()) {
      found = groups_.emplace(group, YamlMap(map_.map(group, Need::optional), errors_)).first;
    }
    return {&found->second, name.substr(dot + 1)};
  }

  void own_parameters() {
    for (const ParamSpec& spec : params_of(out_.composition)) {
      if (!own_.insert(spec.name).second) continue;  // two parts share it
      own_keys_.insert(top_key(spec.name));
      const auto [map, key] = place_of(spec.name);
      const Need need = spec.otherwise ? Need::optional : Need::required;
      const auto value = read_value(*map, key, need, spec);
      out_.params.set(spec.name, value.value_or(spec.otherwise.value_or(spec.least)));
    }
  }

  // Names that the same parameter has in other parts alone, with these.
  static std::map<std::string, std::string> names_elsewhere(const ParamSpec& own) {
    std::map<std::string, std::string> parts;
    for (const PartEntry& part : part_registry()) {
      for (const ParamSpec& spec : part.params) {
        if (spec.name != own.name) continue;
        for (const std::string& name : spec.names) {
          if (!contains(own.names, name)) parts.emplace(name, std::string(part.slot()) + ": " + part.name);
        }
      }
    }
    return parts;
  }

  static std::optional<std::int64_t> read_value(YamlMap& map, const std::string& key, Need need,
                                                const ParamSpec& spec) {
    if (spec.kind == ParamKind::choice) {
      const auto index = map.choice(key, need, {key, spec.names, true, names_elsewhere(spec)});
      return index ? std::optional(static_cast<std::int64_t>(*index)) : std::nullopt;
    }
    const int digits = digits_of(spec.kind);
    return digits == 0 ? map.integer(key, need, {spec.least, spec.most})
                       : map.decimal(key, need, {digits, spec.least, spec.most});
  }

  // Another part's parameter is refused with that part's name; a whole mapping of them once.
  void foreign_parameters() {
    std::set<std::string> refused;
    for (const PartEntry& part : part_registry()) {
      for (const ParamSpec& spec : part.params) {
        if (own_.contains(spec.name)) continue;
        const std::string slot = part.slot();
        const std::string& chosen = *out_.composition.choice(slot);
        const std::string what = "belongs to " + slot + ": " + part.name + ", but " +
                                 (chosen.empty() ? "this policy has no " + slot : slot + " is " + chosen) +
                                 "; remove it";
        const std::string top = top_key(spec.name);
        const bool whole = !own_keys_.contains(top);
        if (!refused.insert(whole ? top : spec.name).second) continue;
        if (whole) {
          map_.refuse(top, what);
        } else {
          const auto [map, key] = place_of(spec.name);
          map->refuse(key, what);
        }
      }
    }
  }

  void skip_parameters() {
    for (const PartEntry& part : part_registry()) {
      for (const ParamSpec& spec : part.params) map_.skip(top_key(spec.name));
    }
  }

  YamlMap map_;
  YamlErrors& errors_;
  PolicyChoice out_;
  std::map<std::string, YamlMap> groups_;  // by key: parameters with a dot in their name
  std::set<std::string> own_;              // parameters of the composition
  std::set<std::string> own_keys_;         // and the top keys that hold them
  bool composed_ = true;                   // the parts are known, so their parameters can be asked for
};

std::string value_text(const ParamSpec& spec, std::int64_t value) {
  if (spec.kind == ParamKind::choice) return spec.names.at(static_cast<std::size_t>(value));
  return decimal_text(value, digits_of(spec.kind));
}

}  // namespace

PolicyChoice read_policy(const YamlItem& item, YamlErrors& errors) {
  return PolicyReader(item, errors).read();
}

std::string policy_yaml(const PolicyChoice& choice) {
  std::ostringstream out;
  out << "policy:\n  preset: " << yaml_string(choice.composition.preset) << "\n";
  for (const std::string& slot : part_slots()) {
    const std::string& part = *choice.composition.choice(slot);
    if (!part.empty()) out << "  " << slot << ": " << yaml_string(part) << "\n";
  }
  out << "  kv_dtype: " << name_of(choice.kv_dtype) << "\n";
  std::map<std::string, std::string> groups;
  std::set<std::string> written;
  for (const ParamSpec& spec : params_of(choice.composition)) {
    if (!written.insert(spec.name).second) continue;
    const std::string value = value_text(spec, choice.params.get(spec.name));
    const auto dot = spec.name.find('.');
    if (dot == std::string::npos) {
      out << "  " << spec.name << ": " << value << "\n";
    } else {
      groups[top_key(spec.name)] += "    " + spec.name.substr(dot + 1) + ": " + value + "\n";
    }
  }
  for (const auto& [name, lines] : groups) out << "  " << name << ":\n" << lines;
  return out.str();
}

std::optional<std::vector<std::string>> slots_of(const std::string& attention) {
  std::vector<std::string> slots;
  bool known = false;
  for (const PresetEntry& preset : preset_registry()) {
    if (preset.composition.attention != attention) continue;
    known = true;
    for (const std::string& slot : part_slots()) {
      if (slot == "attention" || contains(slots, slot)) continue;
      if (!preset.composition.choice(slot)->empty()) slots.push_back(slot);
    }
  }
  return known ? std::optional(slots) : std::nullopt;
}

int digits_of(ParamKind kind) {
  switch (kind) {
    case ParamKind::tokens:
    case ParamKind::choice:
      return 0;
    case ParamKind::ratio:
      return 6;
    case ParamKind::milli:
      return 3;
  }
  return 0;
}

std::string range_text(const ParamSpec& spec) {
  if (spec.kind == ParamKind::choice) {
    std::string text;
    for (const std::string& name : spec.names) text += (text.empty() ? "`" : " or `") + name + "`";
    return text;
  }
  constexpr std::int64_t kOpen = 1LL << 30;
  const std::string least = value_text(spec, spec.least);
  const std::string range =
      spec.most >= kOpen ? least + " or more" : least + " to " + value_text(spec, spec.most);
  return spec.kind == ParamKind::tokens ? "integer, " + range : range;
}

std::string default_text(const ParamSpec& spec) {
  return spec.otherwise ? value_text(spec, *spec.otherwise) : "required";
}

std::string parameter_table() {
  std::ostringstream out;
  out << "| part | parameter | value | default |\n|---|---|---|---|\n";
  for (const std::string& slot : part_slots()) {
    for (const PartEntry& part : part_registry()) {
      if (slot != part.slot()) continue;
      for (const ParamSpec& spec : part.params) {
        out << "| " << slot << ": `" << part.name << "` | `" << spec.name << "` | " << range_text(spec)
            << ": " << spec.sentence << " | " << default_text(spec) << " |\n";
      }
    }
  }
  return out.str();
}

}  // namespace hybridgen
