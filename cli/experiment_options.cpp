#include "cli/experiment_options.hpp"

#include <iostream>

#include "core/base/error.hpp"
#include "formats/experiment_model.hpp"
#include "study/fit_report.hpp"

namespace hybridgen::cli {

namespace po = boost::program_options;

void ExperimentOptions::add_to(po::options_description& description) {
  auto add = description.add_options();
  add("platform", po::value(&platform), "platform to use instead of the experiment's: a name or a file");
  add("set", po::value(&set)->composing(),
      "KEY.PATH=VALUE: replace a value of the experiment; may be repeated");
  add("unset", po::value(&unset)->composing(),
      "KEY.PATH: take a key out, as a replaced part's parameter; before any --set; may be repeated");
  add("out", po::value(&out), "write a result folder here");
  add("force", po::bool_switch(&force), "replace an existing result folder");
  add("json", po::bool_switch(&json), "print the summary as JSON on standard output");
  add("dry-run", po::bool_switch(&dry_run),
      "print what every memory must hold, and stop before anything starts");
}

namespace {

// Hidden options and their places make the positional arguments; false after --help.
bool parse_all(const std::vector<std::string>& arguments, const std::string& usage,
               po::options_description& options, const po::options_description& hidden,
               const po::positional_options_description& places) {
  options.add_options()("help,h", "show this");
  po::options_description all;
  all.add(options).add(hidden);
  po::variables_map values;
  try {
    po::store(po::command_line_parser(arguments).options(all).positional(places).run(), values);
    if (values.contains("help")) {
      std::cout << usage << "\n" << options;
      return false;
    }
    po::notify(values);
  } catch (const po::error& error) {
    throw BadInput(std::string(error.what()) + "; --help shows what is possible");
  }
  return true;
}

void require_argument(bool given, const std::string& name) {
  if (!given) throw BadInput("argument " + name + " is missing; --help shows what is possible");
}

}  // namespace

bool parse(const std::vector<std::string>& arguments, const std::string& usage,
           po::options_description& options,
           const std::vector<std::pair<std::string, std::string*>>& positional) {
  po::options_description hidden;
  po::positional_options_description places;
  for (const auto& [name, value] : positional) {
    hidden.add_options()(name.c_str(), po::value(value));
    places.add(name.c_str(), 1);
  }
  if (!parse_all(arguments, usage, options, hidden, places)) return false;
  for (const auto& [name, value] : positional) require_argument(!value->empty(), name);
  return true;
}

bool parse(const std::vector<std::string>& arguments, const std::string& usage,
           po::options_description& options, const std::string& positional,
           std::vector<std::string>& values) {
  po::options_description hidden;
  hidden.add_options()(positional.c_str(), po::value(&values)->composing());
  po::positional_options_description places;
  places.add(positional.c_str(), -1);
  if (!parse_all(arguments, usage, options, hidden, places)) return false;
  require_argument(!values.empty(), positional);
  return true;
}

LoadedExperiment load(const ExperimentOptions& options) {
  Overrides overrides;
  for (const std::string& key : options.unset) overrides.push_back({key, std::nullopt});
  for (const std::string& text : options.set) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw BadInput("--set " + text + ": expected KEY.PATH=VALUE, for example --set workload.new_tokens=8");
    }
    overrides.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  if (!options.platform.empty()) overrides.push_back({"platform", options.platform});
  return load(options.file, overrides);
}

LoadedExperiment load(const std::string& file, const Overrides& overrides) {
  Experiment experiment = load_experiment(file, overrides);
  Platform platform = load_platform(find_platform(experiment.platform));
  ModelFiles model = find_model_for(experiment);
  return {std::move(experiment), std::move(platform), std::move(model)};
}

bool checked_only(const ExperimentOptions& options, const LoadedExperiment& loaded) {
  const FitReport report = fit_report(loaded.experiment, loaded.platform.machine, loaded.model.shape);
  require_fit(report);
  if (options.dry_run) std::cout << to_text(report);
  return options.dry_run;
}

}  // namespace hybridgen::cli
