// hybridgen list: what names may be used.
#include <iostream>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/real_executors.hpp"
#include "core/base/error.hpp"
#include "core/policy/registry.hpp"
#include "formats/policy_reader.hpp"
#include "formats/yaml_reader.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen list policies|parts|parameters|platforms|models|executors: the names an experiment may use, "
    "and what "
    "this\n"
    "machine can run.\n\n"
    "  hybridgen list policies\n";

void line(const std::string& name, const std::string& sentence) {
  std::cout << "  " << name << std::string(name.size() < 20 ? 20 - name.size() : 1, ' ') << sentence << "\n";
}

void list_params(const std::vector<ParamSpec>& params) {
  for (const ParamSpec& param : params) {
    line("", "policy." + param.name + ": " + param.sentence + " (" + range_text(param) + "; " +
                 default_text(param) + ")");
  }
}

void list_policies() {
  for (const PresetEntry& preset : preset_registry()) {
    line(preset.name, preset.sentence);
    list_params(params_of(preset.composition));
  }
}

void list_parts() {
  for (const std::string& slot : part_slots()) {
    std::cout << slot << "\n";
    for (const PartEntry& part : part_registry()) {
      if (slot != part.slot()) continue;
      line(part.name, part.sentence);
      list_params(part.params);
    }
  }
}

}  // namespace

int list_command(const std::vector<std::string>& arguments) {
  std::string what;
  boost::program_options::options_description description("options");
  if (!parse(arguments, kUsage, description,
             {{"policies|parts|parameters|platforms|models|executors", &what}}))
    return 0;
  if (what == "policies") {
    list_policies();
  } else if (what == "parts") {
    list_parts();
  } else if (what == "parameters") {
    std::cout << parameter_table();
  } else if (what == "platforms") {
    for (const std::string& name : list_platforms()) std::cout << "  " << name << "\n";
  } else if (what == "models") {
    for (const std::string& name : list_models()) std::cout << "  " << name << "\n";
  } else if (what == "executors") {
    for (const ExecutorEntry& entry : real_executors())
      line(entry.name, (entry.available ? "" : "not available: ") + entry.text);
  } else {
    throw BadInput(
        "list " + what + ": unknown; " +
        name_remedy(what, {"policies", "parts", "parameters", "platforms", "models", "executors"}));
  }
  return 0;
}

}  // namespace hybridgen::cli
