// Wires a simulated executor: engine, durations from the platform, outcomes from the experiment's source.
#pragma once

#include <memory>
#include <string>

#include "cli/experiment_options.hpp"
#include "core/executor/executor.hpp"
#include "sim/world/duration_model.hpp"
#include "sim/world/outcome_source.hpp"

namespace hybridgen::cli {

// BadInput names the engines there are: "simgrid" and "fluid".
void check_engine(const std::string& engine);
// Of an engine that check_engine accepts. The machine outlives the executor.
std::unique_ptr<Executor> simulated_executor(const std::string& engine, const Machine& machine,
                                             std::unique_ptr<DurationModel> durations,
                                             std::unique_ptr<OutcomeSource> outcomes);

class SimulatedWorld {
 public:
  // loaded outlives the world.
  SimulatedWorld(const LoadedExperiment& loaded, const std::string& engine);
  Executor& executor() { return *executor_; }
  const std::string& outcome_source() const { return outcome_source_; }

 private:
  std::string outcome_source_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace hybridgen::cli
