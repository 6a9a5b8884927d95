// What is known of the keys of a config.json besides those that are read: which cannot change what a model
// computes, and which do unless they have one of their neutral values. A key in neither list is refused, too:
// an unknown key is not a harmless key.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace hybridgen {

// Token ids, training, generation, bookkeeping.
const std::set<std::string>& harmless_hf_keys();

struct HfKeyRule {
  std::string key;
  std::vector<nlohmann::json> neutral;  // besides null
  std::string meaning;                  // what any other value would have the model do
};
const std::vector<HfKeyRule>& hf_key_rules();

}  // namespace hybridgen
