#include "formats/experiment_reader.hpp"

#include <algorithm>
#include <filesystem>

#include "formats/yaml_reader.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kMostTokens = 1LL << 40;
constexpr std::int64_t kMostCount = 1'000'000;  // requests, repeats

// What the user wrote stays when it exists from here; else the file's own folder is tried.
std::string resolve(const std::string& written, const std::string& yaml_path) {
  namespace fs = std::filesystem;
  const fs::path path(written);
  std::error_code code;
  if (path.is_absolute() || fs::exists(path, code)) return written;
  const fs::path beside = fs::path(yaml_path).parent_path() / path;
  return fs::exists(beside, code) ? beside.lexically_normal().string() : written;
}

class ExperimentReader {
 public:
  ExperimentReader(const YamlNode& root, YamlErrors& errors) : root_({&root, ""}, errors), errors_(errors) {}

  Experiment read(const std::string& path) {
    out_.path = path;
    out_.platform = root_.text("platform", Need::required).value_or("");
    out_.model = root_.text("model", Need::required).value_or("");
    weights();
    workload();
    policy();
    outcomes();
    out_.seed = root_.integer("seed", Need::required, {}).value_or(0);
    out_.repeat = count(root_, "repeat");
    root_.finish();
    return out_;
  }

 private:
  static int count(YamlMap& map, const std::string& key) {
    return static_cast<int>(map.integer(key, Need::required, {1, kMostCount}).value_or(1));
  }

  void weights() {
    static const NameSet kSources{
        "source of weights", {name_of(WeightSource::files), name_of(WeightSource::dummy)}, true};
    const auto source = root_.choice("weights", Need::optional, kSources);
    if (source) out_.weights = static_cast<WeightSource>(*source);
  }

  void workload() {
    YamlMap map(root_.map("workload", Need::required), errors_);
    out_.prompt_file = resolve(map.text("prompt_file", Need::required).value_or(""), out_.path);
    const bool listed = map.has("requests") || requests_misspelt(map);
    if (listed) {
      requests(map);
    } else if (!map.has("prompt_tokens") && !map.has("new_tokens")) {
      map.fault(
          "requests",
          "missing, and so are prompt_tokens and new_tokens; add these two, or requests with their own");
    } else {
      out_.prompt_tokens = size(map, "prompt_tokens");
      out_.new_tokens = size(map, "new_tokens");
    }
    out_.batch = count(map, "batch");
    out_.stop_at_end_of_sequence = map.flag("stop_at_end_of_sequence", Need::optional).value_or(false);
    map.finish();
  }

  static Tokens size(YamlMap& map, const std::string& key) {
    return map.integer(key, Need::required, {1, kMostTokens}).value_or(1);
  }

  // Then what is missing is that list, not the two keys in its place.
  static bool requests_misspelt(const YamlMap& map) {
    const auto written = map.keys();
    return !map.has("prompt_tokens") && !map.has("new_tokens") &&
           std::any_of(written.begin(), written.end(),
                       [](const std::string& key) { return nearest_name(key, {"requests"}) == "requests"; });
  }

  // Each with its own size; a prompt starts where the one before it ends, unless it says otherwise.
  void requests(YamlMap& map) {
    for (const char* key : {"prompt_tokens", "new_tokens"}) {
      map.refuse(key, "workload.requests gives every request its own; remove one of the two");
    }
    std::int64_t next = 0;
    for (const YamlItem& item : map.list("requests", Need::required)) {
      YamlMap entry(item, errors_);
      RequestEntry request;
      request.shape.prompt_tokens = size(entry, "prompt_tokens");
      request.shape.new_tokens = size(entry, "new_tokens");
      request.prompt_start = entry.integer("prompt_start", Need::optional, {0, kMostTokens}).value_or(next);
      entry.finish();
      next = request.prompt_start + request.shape.prompt_tokens;
      out_.requests.push_back(request);
    }
  }

  void policy() {
    YamlMap map(root_.map("policy", Need::required), errors_);
    NameSet presets{"preset", {}, true};
    for (const PresetEntry& preset : preset_registry()) presets.names.push_back(preset.name);
    const auto preset = map.choice("preset", Need::required, presets);
    if (preset) out_.composition = preset_registry()[*preset].composition;
    compose(map, preset.has_value());
    const bool parts_known = preset && composed_ && !slot_is_misspelt(map) && !slot_is_missing(map);
    static const NameSet kDtypes{"kv_dtype", {name_of(KvDtype::f16), name_of(KvDtype::f32)}, true};
    const auto dtype = map.choice("kv_dtype", Need::optional, kDtypes);
    out_.kv_dtype = dtype == 1U ? KvDtype::f32 : KvDtype::f16;
    parameters(map, parts_known);
    map.finish();
  }

  // The preset's parts, each replaced where the file says so.
  void compose(YamlMap& map, bool known_preset) {
    choose(map, "attention", Need::optional);
    const std::string& attention = out_.composition.attention;
    const auto used = slots_of(attention);
    for (const std::string& slot : part_slots()) {
      if (slot == "attention") continue;
      if (!known_preset || !used) {
        choose(map, slot, Need::optional);
      } else if (std::find(used->begin(), used->end(), slot) == used->end()) {
        map.refuse(slot,
                   "attention " + attention + " uses no " + slot + "; remove it or choose another attention");
        out_.composition.choice(slot)->clear();
      } else {
        // Empty where another attention replaces the preset's and needs more than the preset fills.
        const bool open = out_.composition.choice(slot)->empty();
        choose(map, slot, open ? Need::required : Need::optional);
        composed_ = composed_ && (!open || map.has(slot));
      }
    }
  }

  void choose(YamlMap& map, const std::string& slot, Need need) {
    NameSet parts{slot + " part", {}, true};
    for (const PartEntry& part : part_registry()) {
      if (slot == part.slot()) parts.names.push_back(part.name);
    }
    const auto index = map.choice(slot, need, parts);
    if (index) *out_.composition.choice(slot) = parts.names[*index];
    if (!index && map.has(slot)) composed_ = false;
  }

  // A mistyped slot hides which part is meant, so which parameters are due; it is reported as unknown.
  static bool slot_is_misspelt(const YamlMap& map) {
    std::vector<std::string> names{"preset", "kv_dtype"};
    for (const std::string& slot : part_slots()) names.push_back(slot);
    for (const PartEntry& part : part_registry()) {
      for (const ParamSpec& spec : part.params) names.push_back(spec.name);
    }
    const auto written = map.keys();
    std::vector<std::string> unused;
    std::copy_if(names.begin(), names.end(), std::back_inserter(unused),
                 [&](const std::string& name) { return !map.has(name); });
    return std::any_of(written.begin(), written.end(), [&](const std::string& key) {
      const bool known = std::find(names.begin(), names.end(), key) != names.end();
      return !known && is_slot(nearest_name(key, unused));
    });
  }

  static bool is_slot(const std::string& name) {
    const auto& slots = part_slots();
    return std::find(slots.begin(), slots.end(), name) != slots.end();
  }

  // Parameters of another part than the preset's, and none of the preset's: what is missing is the choice
  // of that part. One message instead of one per parameter.
  bool slot_is_missing(YamlMap& map) {
    bool missing = false;
    for (const std::string& slot : part_slots()) {
      const std::string& chosen = *out_.composition.choice(slot);
      if (map.has(slot) || chosen.empty()) continue;
      const PartEntry* meant = nullptr;
      std::string evidence;
      for (const PartEntry& part : part_registry()) {
        if (slot != part.slot()) continue;
        const auto written = std::find_if(part.params.begin(), part.params.end(),
                                          [&](const ParamSpec& spec) { return map.has(spec.name); });
        if (written == part.params.end()) continue;
        meant = &part;
        evidence = written->name;
        if (part.name == chosen) break;
      }
      if (meant == nullptr || meant->name == chosen) continue;
      map.fault(slot, "missing, while " + evidence + " belongs to " + slot + ": " + meant->name +
                          " and the preset's is " + chosen + "; add " + slot + ": " + meant->name);
      missing = true;
    }
    return missing;
  }

  // Those of the composition by their schemas; another part's parameter is refused with that part's name.
  void parameters(YamlMap& map, bool composition_known) {
    std::vector<std::string> own;
    if (composition_known) {
      for (const ParamSpec& spec : params_of(out_.composition)) {
        own.push_back(spec.name);
        const int digits = digits_of(spec.kind);
        const Need need = spec.otherwise ? Need::optional : Need::required;
        const auto value = digits == 0 ? map.integer(spec.name, need, {spec.least, spec.most})
                                       : map.decimal(spec.name, need, {digits, spec.least, spec.most});
        out_.params.set(spec.name, value.value_or(spec.otherwise.value_or(spec.least)));
      }
    }
    for (const PartEntry& part : part_registry()) {
      for (const ParamSpec& spec : part.params) {
        if (std::find(own.begin(), own.end(), spec.name) != own.end()) continue;
        if (!composition_known) {
          map.skip(spec.name);
          continue;
        }
        const std::string slot = part.slot();
        const std::string& chosen = *out_.composition.choice(slot);
        map.refuse(spec.name, "belongs to " + slot + ": " + part.name + ", but " +
                                  (chosen.empty() ? "this policy has no " + slot : slot + " is " + chosen) +
                                  "; remove it");
      }
    }
  }

  void outcomes() {
    static const NameSet kSources{"source",
                                  {name_of(OutcomeSourceKind::fixed), name_of(OutcomeSourceKind::recorded),
                                   name_of(OutcomeSourceKind::seeded)},
                                  true};
    const YamlItem item = root_.map("outcomes", Need::optional);
    if (item.node == nullptr) return;
    YamlMap map(item, errors_);
    const auto source = map.choice("source", Need::required, kSources);
    if (source) out_.outcomes = static_cast<OutcomeSourceKind>(*source);
    if (!source || out_.outcomes == OutcomeSourceKind::recorded) {
      const Need need = source ? Need::required : Need::optional;
      out_.recorded_from = resolve(map.text("from", need).value_or(""), out_.path);
    } else {
      map.refuse("from", std::string("only source: recorded reads a folder, and source is ") +
                             name_of(out_.outcomes) + "; remove it");
    }
    map.finish();
  }

  YamlMap root_;
  YamlErrors& errors_;
  Experiment out_;
  bool composed_ = true;  // the parts are known, so their parameters can be asked for
};

}  // namespace

std::optional<std::vector<std::string>> slots_of(const std::string& attention) {
  std::vector<std::string> slots;
  bool known = false;
  for (const PresetEntry& preset : preset_registry()) {
    if (preset.composition.attention != attention) continue;
    known = true;
    for (const std::string& slot : part_slots()) {
      const bool there = std::find(slots.begin(), slots.end(), slot) != slots.end();
      if (slot != "attention" && !there && !preset.composition.choice(slot)->empty()) slots.push_back(slot);
    }
  }
  return known ? std::optional(slots) : std::nullopt;
}

int digits_of(ParamKind kind) {
  switch (kind) {
    case ParamKind::tokens:
      return 0;
    case ParamKind::ratio:
      return 6;
    case ParamKind::milli:
      return 3;
  }
  return 0;
}

Experiment read_experiment(const std::string& text, const std::string& path, const Overrides& overrides) {
  YamlErrors errors(path);
  YamlPtr root = parse_yaml(text, errors);
  errors.throw_if_any();
  if (root->kind == YamlKind::null && overrides.empty()) {
    errors.add({}, "",
               "the file is empty; write an experiment: platform, model, workload, policy, seed, repeat");
    errors.throw_if_any();
  }
  for (const auto& [key, value] : overrides) set_by_path(root, key, value, errors);
  Experiment experiment = ExperimentReader(*root, errors).read(path);
  errors.throw_if_any();
  return experiment;
}

}  // namespace hybridgen
