// hybridgen validate: how far a simulated result is from a real one of the same plan.
#include <iostream>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "formats/report_json.hpp"
#include "study/validate.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen validate REAL_DIR SIM_DIR: hold a simulated result against a real one of the same plan.\n\n"
    "Errors per op kind, per channel, of TTFT and TPOT, beside the spread of the real repeats. Results of "
    "different\n"
    "plans are refused, with the first difference.\n\n"
    "  hybridgen validate results/real results/simulated\n";

}  // namespace

int validate_command(const std::vector<std::string>& arguments) {
  std::string real;
  std::string simulated;
  bool json = false;
  boost::program_options::options_description description("options");
  description.add_options()("json", boost::program_options::bool_switch(&json),
                            "print JSON on standard output");
  if (!parse(arguments, kUsage, description, {{"REAL_DIR", &real}, {"SIM_DIR", &simulated}})) return 0;
  const StoredResult real_result = read_result(real);  // first, so that its faults are told first
  const ValidationReport report = validate(real_result, read_result(simulated));
  std::cout << (json ? to_json(report) : to_text(report));
  return 0;
}

}  // namespace hybridgen::cli
