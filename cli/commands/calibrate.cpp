// hybridgen calibrate: micro-benchmarks of this machine, as a platform file.
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
    "enters. Leave the machine alone meanwhile: the spreads in the file say how quiet it was.\n\n"
    "  hybridgen calibrate --out platform-models/local.yaml\n";

void write_file(const std::string& path, const std::string& text) {
  const std::string aside = path + ".partial";
  std::ofstream file(aside, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw UserError(ExitCode::failed, path + ": cannot be written");
  fs::rename(aside, path);
}

}  // namespace

int calibrate_command(const std::vector<std::string>& arguments) {
  std::string out;
  std::string model = "smollm2-135m-instruct";
  bool force = false;
  CalibrateOptions calibrate_options;
  namespace po = boost::program_options;
  po::options_description description("options");
  auto add = description.add_options();
  add("out", po::value(&out), "file to write");
  add("model", po::value(&model)->default_value(model), "whose shapes the kernels are timed in");
  add("rounds", po::value(&calibrate_options.rounds)->default_value(calibrate_options.rounds),
      "how often each probe is run");
  add("force", po::bool_switch(&force), "replace an existing file");
  if (!parse(arguments, kUsage, description, {})) return 0;
  if (out.empty()) throw BadInput("--out is missing: where to write, for example platform-models/local.yaml");
  if (fs::exists(out) && !force) throw BadInput(out + " exists; give --force to replace it");
  const fs::path folder = fs::path(out).parent_path();
  if (!folder.empty() && !fs::is_directory(folder))
    throw BadInput(out + ": there is no folder " + folder.string());
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
  write_file(out,
             platform_yaml(platform, "Written by `hybridgen calibrate` on " + calibration.processor_name +
                                         ",\nkernels in the shapes of " + files.shape.name + "."));
  std::cout << out << ": " << platform.description << "\n  streaming read " << std::fixed
            << std::setprecision(1) << calibration.stream_bytes_per_s.value / 1e9 << " GB/s (spread "
            << calibration.stream_bytes_per_s.spread * 100 << " %), copies "
            << calibration.h2d.bytes_per_s / 1e9 << " up and " << calibration.d2h.bytes_per_s / 1e9
            << " GB/s down\n";
  return 0;
}

}  // namespace hybridgen::cli
