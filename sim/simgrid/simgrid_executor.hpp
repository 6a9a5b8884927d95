// The simulated world by SimGrid. One at a time in a process.
#pragma once

#include "sim/world/simulated_executor.hpp"

namespace hybridgen {

class SimGridExecutor final : public SimulatedExecutor {
 public:
  // The machine outlives the executor.
  SimGridExecutor(const Machine& machine, std::unique_ptr<DurationModel> durations,
                  std::unique_ptr<OutcomeSource> outcomes);
};

}  // namespace hybridgen
