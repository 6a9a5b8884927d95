// The arguments that run, simulate and accuracy share.
#pragma once

#include <boost/program_options.hpp>
#include <string>
#include <vector>

#include "formats/experiment.hpp"
#include "formats/model.hpp"
#include "formats/platform.hpp"

namespace hybridgen::cli {

struct ExperimentOptions {
  std::string file;
  std::string platform;
  std::vector<std::string> set;
  std::vector<std::string> unset;
  std::string out;
  bool force = false;
  bool json = false;
  bool dry_run = false;

  // Adds --platform, --set, --unset, --out, --force, --json, --dry-run.
  void add_to(boost::program_options::options_description& description);
};

// Parses; false when --help was asked for and printed. usage is the text above the options.
// One positional argument goes to each of `positional`; BadInput names what is missing or too many.
bool parse(const std::vector<std::string>& arguments, const std::string& usage,
           boost::program_options::options_description& options,
           const std::vector<std::pair<std::string, std::string*>>& positional);

// The same with one or more positional arguments of one name.
bool parse(const std::vector<std::string>& arguments, const std::string& usage,
           boost::program_options::options_description& options, const std::string& positional,
           std::vector<std::string>& values);

// The experiment with its overrides, its platform and its model.
struct LoadedExperiment {
  Experiment experiment;
  Platform platform;
  ModelFiles model;
};
LoadedExperiment load(const ExperimentOptions& options);
LoadedExperiment load(const std::string& file, const Overrides& overrides);

// Throws DoesNotFit with what would fit. True after --dry-run, whose table is printed then: nothing is to
// start.
bool checked_only(const ExperimentOptions& options, const LoadedExperiment& loaded);

}  // namespace hybridgen::cli
