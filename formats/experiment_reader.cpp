#include "formats/experiment_reader.hpp"

#include <algorithm>
#include <filesystem>

#include "formats/policy_reader.hpp"
#include "formats/yaml_reader.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kMostTokens = 1LL << 40;
constexpr std::int64_t kMostContext = 100'000'000;  // as of a model
constexpr std::int64_t kMostCount = 1'000'000;      // requests, repeats

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
    out_.assume_max_context =
        root_.integer("assume_max_context", Need::optional, {1, kMostContext}).value_or(0);
    keep_place(root_, "assume_max_context");
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

  void keep_place(const YamlMap& map, const std::string& key) {
    if (map.has(key)) out_.places[map.path_of(key)] = map.where(key);
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
      keep_place(map, "prompt_tokens");
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
      keep_place(entry, "prompt_tokens");
      request.shape.new_tokens = size(entry, "new_tokens");
      request.prompt_start = entry.integer("prompt_start", Need::optional, {0, kMostTokens}).value_or(next);
      entry.finish();
      next = request.prompt_start + request.shape.prompt_tokens;
      out_.requests.push_back(request);
    }
  }

  void policy() {
    const PolicyChoice choice = read_policy(root_.map("policy", Need::required), errors_);
    out_.composition = choice.composition;
    out_.kv_dtype = choice.kv_dtype;
    out_.params = choice.params;
  }

  void outcomes() {
    static const NameSet kSources{"source",
                                  {name_of(OutcomeSourceKind::fixed), name_of(OutcomeSourceKind::recorded),
                                   name_of(OutcomeSourceKind::seeded), name_of(OutcomeSourceKind::locality)},
                                  true};
    const YamlItem item = root_.map("outcomes", Need::optional);
    if (item.node == nullptr) return;
    YamlMap map(item, errors_);
    const auto source = map.choice("source", Need::required, kSources);
    if (source) out_.outcomes = static_cast<OutcomeSourceKind>(*source);
    const bool reads =
        out_.outcomes == OutcomeSourceKind::recorded || out_.outcomes == OutcomeSourceKind::locality;
    if (!source || reads) {
      const Need need = source ? Need::required : Need::optional;
      if (const auto from = map.text("from", need)) out_.outcomes_from = resolve(*from, out_.path);
      keep_place(map, "from");
    } else {
      map.refuse("from",
                 std::string("only source: recorded and source: locality read something, and source is ") +
                     name_of(out_.outcomes) + "; remove it");
    }
    map.finish();
  }

  YamlMap root_;
  YamlErrors& errors_;
  Experiment out_;
};

}  // namespace

Experiment read_experiment(const std::string& text, const std::string& path, const Overrides& overrides) {
  YamlErrors errors(path);
  YamlPtr root = parse_yaml(text, errors);
  errors.throw_if_any();
  if (root->kind == YamlKind::null && overrides.empty()) {
    errors.add({}, "",
               "the file is empty; write an experiment: platform, model, workload, policy, seed, repeat");
    errors.throw_if_any();
  }
  for (const auto& [key, value] : overrides) {
    if (value) {
      set_by_path(root, key, *value, errors);
    } else {
      unset_by_path(root, key, errors);
    }
  }
  Experiment experiment = ExperimentReader(*root, errors).read(path);
  errors.throw_if_any();
  return experiment;
}

}  // namespace hybridgen
