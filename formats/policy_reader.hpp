// The `policy` section of an experiment file, checked against the registry.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/policy/registry.hpp"
#include "core/residency/memory_plan.hpp"
#include "formats/yaml_reader.hpp"

namespace hybridgen {

struct PolicyChoice {
  Composition composition;
  KvDtype kv_dtype = KvDtype::f16;
  Params params;
};

// Faults go to `errors`; what is returned then is of no use.
PolicyChoice read_policy(const YamlItem& item, YamlErrors& errors);

// The section as YAML, every key with its value; reading it again gives the same choice.
std::string policy_yaml(const PolicyChoice& choice);

// The other slots that an attention part uses: those that the presets with this attention fill. Nothing for
// an attention that no preset has: then it is not known.
std::optional<std::vector<std::string>> slots_of(const std::string& attention);

// How a parameter is written in YAML: digits after the point that are kept.
int digits_of(ParamKind kind);

// What a parameter takes, for people: "0 to 1", "integer, 0 or more", "`a` or `b`".
std::string range_text(const ParamSpec& spec);
// Its default as written in a file, or "required".
std::string default_text(const ParamSpec& spec);
// Every part's parameters as a Markdown table: part, parameter, what it takes and means, default.
std::string parameter_table();

}  // namespace hybridgen
