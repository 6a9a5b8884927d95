// hybridgen simulate: the same experiment in the simulated world.
#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/finish_run.hpp"
#include "cli/progress.hpp"
#include "cli/simulated_world.hpp"
#include "core/base/error.hpp"
#include "core/driver/driver.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen simulate EXPERIMENT.yaml: run an experiment in the simulated world, by the same scheduling "
    "code.\n\n"
    "Any platform under platform-models/ will do; no weights, no prompt and no GPU are needed. Counts\n"
    "that are known only while executing come from the experiment's `outcomes`: seeded, fixed,\n"
    "recorded, or locality, which `hybridgen fit-locality` fits to real runs.\n\n"
    "  hybridgen simulate configs/h100/hybridgen.yaml\n"
    "  hybridgen simulate configs/demo/flexgen.yaml --platform h100-80 --engine fluid --json\n";

}  // namespace

int simulate_command(const std::vector<std::string>& arguments) {
  ExperimentOptions options;
  std::string engine = "simgrid";
  boost::program_options::options_description description("options");
  options.add_to(description);
  description.add_options()("engine", boost::program_options::value(&engine)->default_value("simgrid"),
                            "simgrid, or fluid: a small exact solver without a library");
  if (!parse(arguments, kUsage, description, {{"EXPERIMENT.yaml", &options.file}})) return 0;
  const LoadedExperiment loaded = load(options);
  if (!options.out.empty()) check_out_folder(options.out, options.force);
  if (checked_only(options, loaded)) return 0;
  const Experiment& experiment = loaded.experiment;
  const Machine& machine = loaded.platform.machine;

  Policy policy(experiment.composition, {machine, loaded.model.shape, experiment.kv_dtype, experiment.params},
                experiment.workload());
  SimulatedWorld world(loaded, engine);
  Driver driver(machine, loaded.model.shape, experiment.workload(), policy, world.executor());
  Progress progress(experiment.composition.preset);
  const Timeline& timeline = driver.run(
      [&](const StepEvent& step) { progress.show("step " + std::to_string(step.decision.step.value + 1)); });
  progress.clear();
  ResultHeader header;
  header.executor = engine;
  header.outcome_source = world.outcome_source();
  header.notes = policy.notes();
  finish_run(options, loaded, header, {timeline});
  return 0;
}

}  // namespace hybridgen::cli
