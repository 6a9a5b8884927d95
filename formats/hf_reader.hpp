// Reads the keys of a config.json one by one, and gathers what is wrong with them.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace hybridgen {

class HfReader {
 public:
  // `path` is for messages; `inside` names the key that holds this object, empty at the top.
  HfReader(const nlohmann::json& config, std::string path, std::string inside = "");

  // Null when absent or null, which Hugging Face treats alike. The key counts as read.
  const nlohmann::json* find(const std::string& key);
  int size(const std::string& key);  // a positive integer; required
  int size_or(const std::string& key, int otherwise);
  double positive(const std::string& key);  // required
  double positive_or(const std::string& key, double otherwise);
  bool flag_or(const std::string& key, bool otherwise);
  // A key whose only value here is this one, which is also meant where the key is absent.
  void only(const std::string& key, const nlohmann::json& value, const std::string& why = "");

  void error(const std::string& key, const std::string& what);
  // Refuses keys that were not read: those that change the arithmetic by what they do, unknown ones as such.
  void refuse_the_rest();

  const std::string& path() const { return path_; }
  const std::string& errors() const { return errors_; }
  void add_errors(const HfReader& inner) { errors_ += inner.errors_; }
  void throw_errors() const;

 private:
  const nlohmann::json& config_;
  std::string path_;
  std::string inside_;
  std::set<std::string> read_;
  std::string errors_;
};

}  // namespace hybridgen
