// hybridgen ablation: every variant of an ablation file, in the simulated world or on this machine, as one
// table.
#include <iostream>

#include "cli/ablation_runs.hpp"
#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/progress.hpp"
#include "core/base/error.hpp"
#include "formats/ablation.hpp"
#include "study/ablation.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen ablation FILE.yaml: what each technique contributes to step time, bytes and quality.\n\n"
    "The file names an experiment, platforms, contexts, and variants: the experiment with techniques taken "
    "away "
    "or\nput back. All are simulated, or run on this machine with --real: then in turn, round by round, so "
    "that "
    "a\nmachine whose speed drifts treats all alike. The speed-up is against the first variant.\n\n"
    "  hybridgen ablation configs/ablation-paper.yaml\n"
    "  hybridgen ablation configs/ablation-local.yaml --real\n";

struct AblationOptions {
  std::string file;
  bool real = false;
  bool json = false;
  int repeat = 3;
};

// The file's platforms and contexts, or one empty of each: the experiments' own.
template <class T>
std::vector<T> or_own(const std::vector<T>& values) {
  return values.empty() ? std::vector<T>{T{}} : values;
}

// A variant at a place, with all that it needs.
LoadedExperiment load_variant(const AblationVariant& variant, const std::string& platform, Tokens prompt) {
  Overrides changes = variant.changes;
  if (!platform.empty()) changes.push_back({"platform", platform});
  if (prompt > 0) changes.push_back({"workload.prompt_tokens", std::to_string(prompt)});
  return load(variant.experiment, changes);
}

AblationReport measure(const AblationOptions& options, const Ablation& ablation) {
  AblationReport report;
  report.title = ablation.title;
  report.executor = options.real ? "host" : "fluid";
  report.outcome_source = options.real ? "kernels" : "";
  Progress progress("ablation");
  for (const std::string& platform : or_own(ablation.platforms)) {
    for (const Tokens prompt : or_own(ablation.prompt_tokens)) {
      std::vector<LoadedExperiment> place;
      for (const AblationVariant& variant : ablation.variants) {
        place.push_back(load_variant(variant, platform, prompt));
      }
      auto points = options.real ? real_points(place, options.repeat, progress)
                                 : simulated_points(place, report.outcome_source, progress);
      for (std::size_t i = 0; i < points.size(); ++i) {
        points[i].variant = ablation.variants[i].name;
        report.points.push_back(points[i]);
      }
    }
  }
  compare_with_first(report);
  if (!options.real) {
    report.notes.push_back(
        "simulated: CXL and GPU figures are a model's, none was measured on a device here");
  }
  return report;
}

}  // namespace

int ablation_command(const std::vector<std::string>& arguments) {
  AblationOptions options;
  namespace po = boost::program_options;
  po::options_description description("options");
  auto add = description.add_options();
  add("real", po::bool_switch(&options.real), "run on this machine instead of simulating");
  add("repeat", po::value(&options.repeat)->default_value(options.repeat), "rounds of a real run");
  add("json", po::bool_switch(&options.json), "print JSON on standard output");
  if (!parse(arguments, kUsage, description, {{"FILE.yaml", &options.file}})) return 0;
  if (options.repeat < 1) throw BadInput("--repeat must be at least 1");
  const AblationReport report = measure(options, load_ablation(options.file));
  std::cout << (options.json ? to_json(report) : to_text(report));
  return 0;
}

}  // namespace hybridgen::cli
