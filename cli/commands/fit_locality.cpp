// hybridgen fit-locality: fits how many rows a model's query heads choose to recorded runs.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/progress.hpp"
#include "core/base/error.hpp"
#include "formats/locality_file.hpp"
#include "formats/model.hpp"
#include "formats/policy_reader.hpp"
#include "formats/program_commit.hpp"
#include "formats/result_folder.hpp"
#include "sim/world/count_figures.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen fit-locality RESULT_FOLDER... --out FILE: teaches a simulation how many rows a model's\n"
    "heads choose.\n"
    "\n"
    "How many rows a policy sends up may show only while it executes. This takes the counts of recorded\n"
    "real runs and fits, layer by layer, how alike the query heads of a KV head choose (from runs with\n"
    "select: top-k and select_by: kv-group) and how many rows lie within alpha of a head's largest\n"
    "logit (from runs with select: threshold), and how both scatter. `outcomes: {source: locality,\n"
    "from: FILE}` then draws counts from the fit, for any share of rows, and for any alpha between\n"
    "those that were recorded. Record several shares (policy.topk_ratio, policy.max_rows_ratio; one of\n"
    "them 1) and prompts of several lengths. Runs given with --hold-out are not fitted on, but\n"
    "compared: take another text for them. docs/locality.md has the whole recipe.\n"
    "\n"
    "  hybridgen run configs/locality/record.yaml --out results/half --set policy.topk_ratio=0.5\n"
    "  hybridgen fit-locality results/half --out configs/locality/mine.yaml\n";

struct Options {
  std::vector<std::string> folders;
  std::vector<std::string> held_out;
  std::string out;
  std::int64_t seed = 1;
  bool force = false;
};

struct Recorded {
  std::string folder;
  LocalitySource source;
  ModelShape model;
  RecordedRun run;
};

void check_out(const Options& options) {
  namespace fs = std::filesystem;
  if (options.out.empty())
    throw BadInput("--out is missing: the file to write, for example configs/locality/mine.yaml");
  if (options.seed < 0) throw BadInput("--seed must not be negative");
  const fs::path path(options.out);
  std::error_code code;
  if (fs::is_directory(path, code)) throw BadInput("--out " + options.out + " is a folder; name a file");
  if (fs::exists(path, code) && !options.force) {
    throw BadInput("--out " + options.out + ": exists; choose another, or replace it with --force");
  }
  if (path.has_parent_path() && !fs::is_directory(path.parent_path(), code)) {
    throw BadInput("--out " + options.out + ": there is no folder " + path.parent_path().string());
  }
}

// "top-k, topk_ratio 0.05, select_by kv-group".
std::string policy_text(const Experiment& experiment) {
  std::string text = experiment.composition.preset + " with select " + experiment.composition.select;
  std::istringstream lines(policy_yaml({experiment.composition, experiment.kv_dtype, experiment.params}));
  for (std::string line; std::getline(lines, line);) {
    line.erase(0, line.find_first_not_of(' '));
    for (const char* key :
         {"topk_ratio: ", "alpha: ", "max_rows_ratio: ", "select_by: ", "device_kv_tokens: "}) {
      if (line.rfind(key, 0) == 0) text += ", " + line.replace(line.find(':'), 1, "");
    }
  }
  return text;
}

std::string requests_text(const StoredResult& result) {
  const std::vector<RequestShape> requests = result.experiment.workload().requests;
  const auto [least, most] = std::minmax_element(
      requests.begin(), requests.end(),
      [](const RequestShape& a, const RequestShape& b) { return a.prompt_tokens < b.prompt_tokens; });
  return std::to_string(requests.size()) + " of " + std::to_string(least->prompt_tokens) + " to " +
         std::to_string(most->prompt_tokens) + " prompt tokens, " +
         std::to_string(result.timeline.steps.size()) + " steps";
}

Recorded read(const std::string& folder) {
  const StoredResult result = read_result(folder);
  const Experiment& experiment = result.experiment;
  if (result.outcome_source != "kernels") {
    throw BadInput(folder + ": its counts are from " + result.outcome_source +
                   ", not from kernels; fit on real runs, of `hybridgen run`");
  }
  if (experiment.weights == WeightSource::dummy) {
    throw BadInput(folder +
                   ": weights and prompt were made up, and so were its selections; record a run with "
                   "weights: files");
  }
  Recorded recorded{folder, {}, find_model(experiment.model).shape, {}};
  const Policy policy(experiment.composition,
                      {result.platform.machine, recorded.model, experiment.kv_dtype, experiment.params},
                      experiment.workload());
  recorded.run = recorded_run(folder, policy, recorded.model, result.timeline);
  recorded.source = {std::filesystem::path(folder).lexically_normal().filename().string(),
                     std::filesystem::path(experiment.prompt_file).filename().string(),
                     policy_text(experiment), requests_text(result), result.commit};
  return recorded;
}

std::vector<Recorded> read_all(const std::vector<std::string>& folders, Progress& progress) {
  std::vector<Recorded> all;
  for (const std::string& folder : folders) {
    progress.show("reading run " + std::to_string(all.size() + 1) + " of " + std::to_string(folders.size()));
    all.push_back(read(folder));
  }
  return all;
}

void check_one_model(const std::vector<Recorded>& fitted, const std::vector<Recorded>& held_out) {
  for (const auto* runs : {&fitted, &held_out}) {
    for (const Recorded& each : *runs) {
      if (each.model.name == fitted.front().model.name) continue;
      throw BadInput(each.folder + ": is a run of " + each.model.name + ", and " + fitted.front().folder +
                     " is of " + fitted.front().model.name + "; fit each model on its own");
    }
  }
}

void print_row(const Recorded& recorded, const LocalityOutcomes& outcomes) {
  if (recorded.run.selections.empty()) return;
  const CountFigures real = recorded_figures(recorded.run);
  const CountFigures drawn = drawn_figures(recorded.run, outcomes);
  const auto row = [](double a, double b) {
    std::cout << std::setw(11) << a << std::setw(10) << b << std::setw(8) << std::showpos << 100 * (b / a - 1)
              << std::noshowpos;
  };
  row(real.mean, drawn.mean);
  row(real.p90, drawn.p90);
  std::cout << "   " << recorded.source.text << ", " << recorded.source.policy << "\n";
}

void print(const std::vector<Recorded>& fitted, const std::vector<Recorded>& held_out,
           const LocalityOutcomes& outcomes) {
  std::cout << std::fixed << std::setprecision(1)
            << "  rows per step, request and layer: mean           90th percentile\n"
               "   recorded     drawn       %   recorded     drawn       %\n";
  for (const Recorded& each : fitted) print_row(each, outcomes);
  if (!held_out.empty()) std::cout << "  held out\n";
  for (const Recorded& each : held_out) print_row(each, outcomes);
}

void write(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out)
    throw UserError(ExitCode::failed,
                    "cannot write " + path + "; is the disk full, or the folder read-only?");
}

}  // namespace

int fit_locality_command(const std::vector<std::string>& arguments) {
  Options options;
  namespace po = boost::program_options;
  po::options_description description("options");
  auto add = description.add_options();
  add("out", po::value(&options.out), "file to write");
  add("hold-out", po::value(&options.held_out)->composing(),
      "a result folder to compare with and not to fit on; may be repeated");
  add("seed", po::value(&options.seed)->default_value(options.seed),
      "of the counts that are drawn to compare");
  add("force", po::bool_switch(&options.force), "replace an existing file");
  if (!parse(arguments, kUsage, description, "RESULT_FOLDER", options.folders)) return 0;
  check_out(options);
  Progress progress("fit-locality");
  const std::vector<Recorded> fitted = read_all(options.folders, progress);
  const std::vector<Recorded> held_out = read_all(options.held_out, progress);
  check_one_model(fitted, held_out);
  progress.show("fitting");
  std::vector<RecordedRun> runs;
  std::vector<LocalitySource> sources;
  for (const Recorded& each : fitted) {
    runs.push_back(each.run);
    sources.push_back(each.source);
  }
  const ModelShape& model = fitted.front().model;
  const Locality fit = fit_locality(model, runs);
  progress.clear();
  print(fitted, held_out, LocalityOutcomes(options.seed, fit, model));
  write(options.out, locality_yaml(fit, sources, program_commit()));
  std::cout << "  result  " << options.out << "\n";
  return 0;
}

}  // namespace hybridgen::cli
