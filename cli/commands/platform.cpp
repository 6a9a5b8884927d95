// hybridgen platform: what a platform file means.
#include <iostream>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "core/base/error.hpp"
#include "formats/report_json.hpp"
#include "formats/yaml_reader.hpp"
#include "study/byte_costs.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen platform explain PLATFORM: what a byte costs from everywhere to everywhere.\n\n"
    "PLATFORM is a name under platform-models/ or a file. Every figure comes from it: nothing is measured, "
    "nothing\nsimulated.\n\n"
    "  hybridgen platform explain h100-80\n"
    "  hybridgen platform explain platform-models/local.yaml --json\n";

}  // namespace

int platform_command(const std::vector<std::string>& arguments) {
  std::string what;
  std::string name;
  bool json = false;
  boost::program_options::options_description description("options");
  description.add_options()("json", boost::program_options::bool_switch(&json),
                            "print JSON on standard output");
  if (!parse(arguments, kUsage, description, {{"explain", &what}, {"PLATFORM", &name}})) return 0;
  if (what != "explain") throw BadInput("platform " + what + ": unknown; " + name_remedy(what, {"explain"}));
  const ByteCostReport report = byte_costs(load_platform(find_platform(name)).machine);
  std::cout << (json ? to_json(report) : to_text(report));
  return 0;
}

}  // namespace hybridgen::cli
