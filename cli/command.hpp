// The commands of the program, by name.
#pragma once

#include <string>
#include <vector>

namespace hybridgen::cli {

struct Command {
  const char* name;
  const char* sentence;
  // Arguments behind the command's name. Returns the exit status; throws UserError for what a user can mend.
  int (*run)(const std::vector<std::string>& arguments);
};

int run_command(const std::vector<std::string>& arguments);
int simulate_command(const std::vector<std::string>& arguments);
int validate_command(const std::vector<std::string>& arguments);
int replay_command(const std::vector<std::string>& arguments);
int calibrate_command(const std::vector<std::string>& arguments);
int bench_machine_command(const std::vector<std::string>& arguments);
int ablation_command(const std::vector<std::string>& arguments);
int accuracy_command(const std::vector<std::string>& arguments);
int passkey_command(const std::vector<std::string>& arguments);
int quality_curve_command(const std::vector<std::string>& arguments);
int fit_lookahead_command(const std::vector<std::string>& arguments);
int fit_locality_command(const std::vector<std::string>& arguments);
int fit_skew_command(const std::vector<std::string>& arguments);
int check_command(const std::vector<std::string>& arguments);
int platform_command(const std::vector<std::string>& arguments);
int list_command(const std::vector<std::string>& arguments);

}  // namespace hybridgen::cli
