// Policies for tests: a preset, a part replaced if wanted, parameters by the registry's own defaults.
#pragma once

#include <map>
#include <string>

#include "core/base/check.hpp"
#include "core/policy/policy.hpp"

namespace hybridgen::test {

inline Composition preset_composition(const std::string& name) {
  const PresetEntry* preset = find_preset(name);
  HG_CHECK(preset != nullptr, "preset " << name);
  return preset->composition;
}

// "hybridgen+threshold", "+choose", "+use" of these tests: what an ablation looks like.
inline Composition composition_of(const std::string& name) {
  const auto plus = name.find('+');
  if (plus == std::string::npos) return preset_composition(name);
  Composition composition = preset_composition(name.substr(0, plus));
  const std::string part = name.substr(plus + 1);
  (find_part("select", part) != nullptr ? composition.select : composition.lookahead) = part;
  return composition;
}

// `values` as stored integers; what is missing takes the default, or `device_kv_tokens: 4, topk_ratio: 0.5,
// budget_tokens: 40`, or the plain predictor with a correction.
inline Params params_for(const Composition& composition, const std::map<std::string, std::int64_t>& values) {
  const std::map<std::string, std::int64_t> required = {{"device_kv_tokens", 4},
                                                        {"topk_ratio", 500'000},
                                                        {"budget_tokens", 40},
                                                        {"lookahead_predictor", 0},
                                                        {"lookahead_correct", 1}};
  Params params;
  for (const ParamSpec& spec : params_of(composition)) {
    if (const auto found = values.find(spec.name); found != values.end()) {
      params.set(spec.name, found->second);
    } else {
      params.set(spec.name, spec.otherwise ? *spec.otherwise : required.at(spec.name));
    }
  }
  return params;
}

inline Policy make_policy(const Machine& machine, const ModelShape& model, const WorkloadShape& workload,
                          const std::string& name, const std::map<std::string, std::int64_t>& values = {},
                          KvDtype kv_dtype = KvDtype::f16) {
  const Composition composition = composition_of(name);
  return {composition, {machine, model, kv_dtype, params_for(composition, values)}, workload};
}

}  // namespace hybridgen::test
