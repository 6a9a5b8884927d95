#include "formats/hf_reader.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "formats/hf_keys.hpp"

namespace hybridgen {

using Json = nlohmann::json;

HfReader::HfReader(const Json& config, std::string path, std::string inside)
    : config_(config), path_(std::move(path)), inside_(std::move(inside)) {}

void HfReader::error(const std::string& key, const std::string& what) {
  errors_ += "\n" + path_ + ": " + (inside_.empty() ? "" : inside_ + ".") + key + ": " + what;
}

const Json* HfReader::find(const std::string& key) {
  read_.insert(key);
  const auto found = config_.find(key);
  return found == config_.end() || found->is_null() ? nullptr : &*found;
}

int HfReader::size(const std::string& key) {
  const Json* value = find(key);
  if (!value) {
    error(key, "missing; a config.json of this architecture has it");
    return 0;
  }
  if (!value->is_number_integer() || value->get<double>() < 1 ||
      value->get<double>() > std::numeric_limits<int>::max()) {
    error(key, value->dump() + " is not a positive integer");
    return 0;
  }
  return value->get<int>();
}

int HfReader::size_or(const std::string& key, int otherwise) {
  return find(key) ? size(key) : otherwise;
}

double HfReader::positive(const std::string& key) {
  if (!find(key)) error(key, "missing; write a positive number");
  return positive_or(key, 1);
}

double HfReader::positive_or(const std::string& key, double otherwise) {
  const Json* value = find(key);
  if (!value) return otherwise;
  if (!value->is_number() || !(value->get<double>() > 0) || !std::isfinite(value->get<double>())) {
    error(key, value->dump() + " is not a positive number");
    return otherwise;
  }
  return value->get<double>();
}

bool HfReader::flag_or(const std::string& key, bool otherwise) {
  const Json* value = find(key);
  if (value && !value->is_boolean()) error(key, value->dump() + " is neither true nor false");
  return value && value->is_boolean() ? value->get<bool>() : otherwise;
}

void HfReader::only(const std::string& key, const Json& value, const std::string& why) {
  const Json* found = find(key);
  if (!found || *found == value) return;
  error(key, found->dump() + " is not supported; only " + value.dump() + " is" +
                 (why.empty() ? "" : " (" + why + ")") + "; use another model");
}

void HfReader::refuse_the_rest() {
  for (const auto& [key, value] : config_.items()) {
    if (value.is_null() || read_.contains(key)) continue;
    if (inside_.empty() && harmless_hf_keys().contains(key)) continue;
    const auto& rules = hf_key_rules();
    const auto rule = std::find_if(rules.begin(), rules.end(), [&](const auto& r) { return r.key == key; });
    if (rule == rules.end()) {
      error(key,
            value.dump() +
                " is unknown, and an unknown key may change what the model computes; remove the key if it "
                "does not");
    } else if (std::find(rule->neutral.begin(), rule->neutral.end(), value) == rule->neutral.end()) {
      error(key, value.dump() + " is not supported (" + rule->meaning + "); use a model without it");
    }
  }
}

void HfReader::throw_errors() const {
  if (!errors_.empty()) throw BadInput(errors_.substr(1));
}

}  // namespace hybridgen
