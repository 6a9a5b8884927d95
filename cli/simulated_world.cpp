#include "cli/simulated_world.hpp"

#include "core/base/error.hpp"
#include "formats/locality_file.hpp"
#include "formats/result_folder.hpp"
#include "formats/yaml_reader.hpp"
#include "sim/fluid/fluid_executor.hpp"
#include "sim/simgrid/simgrid_executor.hpp"
#include "sim/world/fixed_outcomes.hpp"
#include "sim/world/locality_outcomes.hpp"
#include "sim/world/platform_durations.hpp"
#include "sim/world/recorded_outcomes.hpp"
#include "sim/world/seeded_outcomes.hpp"

namespace hybridgen::cli {
namespace {

constexpr Ppm kFixedShare =
    250'000;  // of the bound: `fixed` is for comparing plans, not for predicting counts

std::unique_ptr<OutcomeSource> outcomes_of(const Experiment& experiment, const ModelShape& model) {
  switch (experiment.outcomes) {
    case OutcomeSourceKind::fixed:
      return std::make_unique<FixedOutcomes>(kFixedShare);
    case OutcomeSourceKind::seeded:
      return std::make_unique<SeededOutcomes>(experiment.seed);
    case OutcomeSourceKind::recorded:
      return std::make_unique<RecordedOutcomes>(read_result(experiment.outcomes_from).timeline);
    case OutcomeSourceKind::locality:
      return std::make_unique<LocalityOutcomes>(experiment.seed, read_locality(experiment.outcomes_from),
                                                model);
  }
  return nullptr;
}

}  // namespace

void check_engine(const std::string& engine) {
  if (engine == "simgrid" || engine == "fluid") return;
  throw BadInput("--engine " + engine + ": unknown; " + name_remedy(engine, {"simgrid", "fluid"}));
}

std::unique_ptr<Executor> simulated_executor(const std::string& engine, const Machine& machine,
                                             std::unique_ptr<DurationModel> durations,
                                             std::unique_ptr<OutcomeSource> outcomes) {
  check_engine(engine);
  if (engine == "simgrid")
    return std::make_unique<SimGridExecutor>(machine, std::move(durations), std::move(outcomes));
  return std::make_unique<FluidExecutor>(machine, std::move(durations), std::move(outcomes));
}

SimulatedWorld::SimulatedWorld(const LoadedExperiment& loaded, const std::string& engine) {
  const Machine& machine = loaded.platform.machine;
  auto outcomes = outcomes_of(loaded.experiment, loaded.model.shape);
  outcome_source_ = outcomes->name();
  executor_ =
      simulated_executor(engine, machine, std::make_unique<PlatformDurations>(machine), std::move(outcomes));
}

}  // namespace hybridgen::cli
