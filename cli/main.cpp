// hybridgen <command>: finds the command, turns failures into one message and an exit status.
#include <iostream>

#include "cli/command.hpp"
#include "core/base/error.hpp"
#include "formats/yaml_reader.hpp"

namespace hybridgen::cli {
namespace {

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands = {
      {"run", "run an experiment on this machine", run_command},
      {"simulate", "run the same experiment in the simulated world", simulate_command},
      {"validate", "hold a simulated result against a real one", validate_command},
      {"replay", "carry a recorded run out again in the simulated world", replay_command},
      {"calibrate", "measure this machine and write its platform file", calibrate_command},
      {"bench-machine", "measure a machine with a GPU, stage by stage", bench_machine_command},
      {"accuracy", "measure what a policy costs in answers, on a real model", accuracy_command},
      {"fit-lookahead", "fit a model's predictor of queries, for lookahead", fit_lookahead_command},
      {"fit-locality", "fit to recorded runs how many rows a model's heads choose", fit_locality_command},
      {"fit-skew", "fit the skew of a model's queries and keys, for infinigen", fit_skew_command},
      {"ablation", "what each technique contributes, simulated or on this machine", ablation_command},
      {"quality-curve", "measure quality against bytes read, over budgets", quality_curve_command},
      {"passkey", "hide a number in a long text and ask for it", passkey_command},
      {"check", "check experiment, platform and model files", check_command},
      {"platform", "explain a platform: what a byte costs from everywhere to everywhere", platform_command},
      {"list", "list policies, parts, platforms, models, executors", list_command},
  };
  return kCommands;
}

void print_help(std::ostream& out) {
  out << "hybridgen: KV-cache scheduling for long-context decode, on this machine or simulated, by the same "
         "code\n\n"
         "usage: hybridgen COMMAND [ARGUMENTS]     (hybridgen COMMAND --help explains one)\n\n";
  for (const Command& command : commands()) {
    out << "  " << command.name << std::string(15 - std::string(command.name).size(), ' ') << command.sentence
        << "\n";
  }
  out << "\nA first tour, from the root of the project:\n"
         "  hybridgen calibrate --out platform-models/local.yaml\n"
         "  hybridgen simulate configs/demo/hybridgen.yaml --out results/simulated\n"
         "  hybridgen run configs/demo/hybridgen.yaml --out results/real\n"
         "  hybridgen validate results/real results/simulated\n"
         "\nExit status: 0 done, 1 failed while running, 2 bad input, 3 does not fit in memory, 4 not "
         "available here.\n";
}

int dispatch(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    print_help(std::cerr);
    return static_cast<int>(ExitCode::bad_input);
  }
  const std::string& name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(std::cout);
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (name == command.name) return command.run({arguments.begin() + 1, arguments.end()});
    names.emplace_back(command.name);
  }
  throw BadInput("unknown command " + name + "; " + name_remedy(name, names));
}

}  // namespace
}  // namespace hybridgen::cli

int main(int argc, char** argv) {
  try {
    return hybridgen::cli::dispatch({argv + 1, argv + argc});
  } catch (const hybridgen::UserError& error) {
    std::cerr << error.what() << "\n";
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::cerr << "hybridgen: " << error.what() << "\n";
    return static_cast<int>(hybridgen::ExitCode::failed);
  }
}
