// The simulated world without a library: quick, exact, one instance per thread.
#pragma once

#include "sim/world/simulated_executor.hpp"

namespace hybridgen {

class FluidExecutor final : public SimulatedExecutor {
 public:
  // The machine outlives the executor.
  FluidExecutor(const Machine& machine, std::unique_ptr<DurationModel> durations,
                std::unique_ptr<OutcomeSource> outcomes);
};

}  // namespace hybridgen
