// hybridgen calibrate: micro-benchmarks of this machine, as a platform file.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/local_platform.hpp"
#include "cli/progress.hpp"
#include "core/base/error.hpp"
#include "formats/platform_writer.hpp"

namespace hybridgen::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUsage =
    "hybridgen calibrate --out FILE: measure this machine and write its platform file.\n\n"
    "Every kernel and copy is timed alone, in the shapes of a model, on dummy weights; no run that is later "
    "predicted\n"
    "enters. Beside that, memories and kernels are surveyed: bandwidth by node, direction and threads, "
    "latency, "
    "copies,\n"
    "kernels by shape; the table is printed and kept in the file under `measured`.\n\n"
    "Leave the machine alone meanwhile. It waits a while for others to stop, repeats rounds that they "
    "disturbed, and "
    "says\n"
    "\"not quiet\" where that did not help. One to three minutes; --quick takes a third of it, with wider "
    "spreads.\n\n"
    "  hybridgen calibrate --out platform-models/local.yaml\n";

constexpr int kQuickRounds = 5;
constexpr double kQuickSeconds = 45;

void write_file(const std::string& path, const std::string& text) {
  const std::string aside = path + ".partial";
  std::ofstream file(aside, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw UserError(ExitCode::failed, path + ": cannot be written");
  fs::rename(aside, path);
}

void print_figures(const Calibration& calibration) {
  std::cout << describe(calibration.topology) << "\n" << std::setprecision(4) << std::defaultfloat;
  std::string subject;
  for (const Measurement& m : calibration.measured) {
    if (m.subject != subject) std::cout << "\n" << m.subject << "\n";
    subject = m.subject;
    std::cout << "  " << std::left << std::setw(62) << m.condition + ", " + m.quantity << std::right
              << std::setw(10) << m.value << " " << std::left << std::setw(8) << m.unit << std::right;
    if (m.spread > 0) std::cout << "  spread " << std::lround(m.spread * 1000) / 10.0 << " %";
    std::cout << "\n";
  }
}

}  // namespace

int calibrate_command(const std::vector<std::string>& arguments) {
  std::string out;
  std::string model = "smollm2-135m-instruct";
  bool force = false, quick = false;
  CalibrateOptions calibrate_options;
  namespace po = boost::program_options;
  po::options_description description("options");
  auto add = description.add_options();
  add("out", po::value(&out), "file to write");
  add("model", po::value(&model)->default_value(model), "whose shapes the kernels are timed in");
  add("rounds", po::value(&calibrate_options.rounds)->default_value(calibrate_options.rounds),
      "how often each probe is run, undisturbed");
  add("quick", po::bool_switch(&quick), "at most 5 rounds, well under a minute");
  add("force", po::bool_switch(&force), "replace an existing file");
  if (!parse(arguments, kUsage, description, {})) return 0;
  if (out.empty()) throw BadInput("--out is missing: where to write, for example platform-models/local.yaml");
  if (fs::exists(out) && !force) throw BadInput(out + " exists; give --force to replace it");
  const fs::path folder = fs::path(out).parent_path();
  if (!folder.empty() && !fs::is_directory(folder))
    throw BadInput(out + ": there is no folder " + folder.string());
  if (quick) {
    calibrate_options.rounds = std::min(calibrate_options.rounds, kQuickRounds);
    calibrate_options.most_seconds = kQuickSeconds;
  }
  if (calibrate_options.rounds < 1) throw BadInput("--rounds must be at least 1");
  const ModelFiles files = find_model(model);
  Calibration calibration;
  {
    Progress progress("calibrate");
    calibrate_options.progress = [&progress](double done, const std::string& what) {
      std::ostringstream text;
      text << std::lround(done * 100) << " %, " << what;
      progress.show(text.str());
    };
    calibration = calibrate(files.shape, calibrate_options);
  }
  const PlatformDescription platform = local_platform(calibration);
  std::ostringstream head;
  head << "Written by `hybridgen calibrate` on " << calibration.topology.processor
       << ",\nkernels in the shapes of " << files.shape.name << "; " << calibration.rounds << " rounds.";
  if (!calibration.quiet) head << "\nNOT QUIET: " << calibration.disturbance << ".";
  write_file(out, platform_yaml(platform, head.str()));
  print_figures(calibration);
  std::cout << "\n"
            << out << ": medians of " << calibration.rounds << " rounds, in "
            << std::lround(calibration.seconds) << " s\n";
  if (!calibration.quiet) std::cout << "not quiet: " << calibration.disturbance << "\n";
  return 0;
}

}  // namespace hybridgen::cli
