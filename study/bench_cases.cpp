#include "study/bench_cases.hpp"

#include "core/base/check.hpp"

namespace hybridgen {
namespace {

constexpr Tokens kNewTokens = 80;  // a structure's first steps capture its graph: few of these
constexpr int kRepeats = 1;        // a prompt takes seconds

struct Plain {
  const char* name;
  bool hold_out;
  const char* preset;
  Tokens prompt_tokens;
  int batch;
  std::map<std::string, std::int64_t> values;
};

// The hold-out differs in context, batch and parameters from everything that calibration or validation saw.
const std::vector<Plain>& plain_cases() {
  static const std::vector<Plain> kCases = {
      {"validation-hybridgen", false, "hybridgen", 8192, 1, {}},
      {"validation-flexgen", false, "flexgen", 8192, 1, {}},
      {"validation-full-gpu", false, "full-gpu", 8192, 1, {}},
      {"hold-out-hybridgen",
       true,
       "hybridgen",
       12000,
       2,
       {{"device_kv_tokens", 3000}, {"topk_ratio", 100'000}}},
      {"hold-out-flexgen", true, "flexgen", 5000, 2, {}},
      {"hold-out-full-gpu", true, "full-gpu", 20000, 1, {}},
  };
  return kCases;
}

}  // namespace

Params bench_params(const Composition& composition, const std::map<std::string, std::int64_t>& values) {
  static const std::map<std::string, std::int64_t> kOurs = {
      {"device_kv_tokens", 1024}, {"topk_ratio", 50'000}, {"budget_tokens", 1024}};
  Params params;
  for (const ParamSpec& spec : params_of(composition)) {
    const auto given = values.find(spec.name);
    const auto ours = kOurs.find(spec.name);
    HG_CHECK(given != values.end() || spec.otherwise || ours != kOurs.end(),
             "bench-machine has no value for " << spec.name << " of " << composition.preset);
    params.set(spec.name, given != values.end() ? given->second
                          : ours != kOurs.end() ? ours->second
                                                : *spec.otherwise);
  }
  return params;
}

std::vector<DecodeCase> decode_cases() {
  std::vector<DecodeCase> cases;
  for (const PresetEntry& preset : preset_registry()) {
    cases.push_back({preset.name, preset.composition, bench_params(preset.composition)});
  }
  Composition ahead = find_preset("hybridgen")->composition;
  ahead.lookahead = "choose";
  cases.push_back({"hybridgen, one layer ahead", ahead, bench_params(ahead)});
  constexpr std::int64_t kByKvGroup = 1, kBestOfKvGroup = 2;
  cases.push_back(
      {"hybridgen by KV group, one layer ahead", ahead, bench_params(ahead, {{"select_by", kByKvGroup}})});
  cases.push_back({"hybridgen by best of KV group, one layer ahead", ahead,
                   bench_params(ahead, {{"select_by", kBestOfKvGroup}})});
  return cases;
}

std::vector<Tokens> decode_contexts() {
  return {32768, 8192, 131072};
}

std::vector<RecordedCase> recorded_cases(const std::string& model) {
  std::vector<RecordedCase> cases;
  for (const Plain& plain : plain_cases()) {
    RecordedCase recorded;
    recorded.name = plain.name;
    recorded.hold_out = plain.hold_out;
    Experiment& experiment = recorded.experiment;
    experiment.model = model;
    experiment.prompt_file = "made-up.ids";  // token ids by formula: weights are made up as well
    experiment.prompt_tokens = plain.prompt_tokens;
    experiment.new_tokens = kNewTokens;
    experiment.batch = plain.batch;
    const PresetEntry* preset = find_preset(plain.preset);
    HG_CHECK(preset != nullptr, "bench-machine records " << plain.preset << ", which is no preset");
    experiment.composition = preset->composition;
    experiment.params = bench_params(experiment.composition, plain.values);
    experiment.repeat = kRepeats;
    cases.push_back(recorded);
  }
  return cases;
}

}  // namespace hybridgen
