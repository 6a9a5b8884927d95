// Parameters of policy parts: declared once with range and default, read from YAML by that declaration.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/check.hpp"

namespace hybridgen {

// How the written value becomes the integer the part works with.
enum class ParamKind {
  tokens,  // an integer
  ratio,   // 0.05 becomes 50'000 ppm
  milli,   // 4.5 becomes 4'500
  choice,  // one of `names`; its index
};

struct ParamSpec {
  std::string name;      // the key under `policy`; a dot leads into a mapping: feedback.interval
  std::string sentence;  // what it does, for people
  ParamKind kind = ParamKind::tokens;
  std::int64_t least = 0;  // range of the stored integer
  std::int64_t most = 0;
  std::optional<std::int64_t> otherwise;  // default, as stored; none: the key is required
  std::vector<std::string> names{};       // of a choice
};

// The stored integers by key. Made by formats (or a test) against the schema of a composition.
class Params {
 public:
  void set(const std::string& name, std::int64_t value) { values_[name] = value; }
  std::int64_t get(const std::string& name) const {
    const auto found = values_.find(name);
    HG_CHECK(found != values_.end(), "parameter " << name << " was never set");
    return found->second;
  }
  bool has(const std::string& name) const { return values_.contains(name); }
  const std::map<std::string, std::int64_t>& all() const { return values_; }

 private:
  std::map<std::string, std::int64_t> values_;
};

}  // namespace hybridgen
