#include "sim/fluid/fluid_engine.hpp"
#include "sim/fluid/fluid_executor.hpp"
#include "tests/sim/engine_under_test.hpp"

namespace hybridgen::testing {

const char* engine_under_test() {
  return "fluid";
}

std::unique_ptr<Engine> make_engine(std::vector<double> channel_bytes_per_s, std::vector<ChannelPath>) {
  return std::make_unique<FluidEngine>(std::move(channel_bytes_per_s));
}

std::unique_ptr<SimulatedExecutor> make_executor(const Machine& machine,
                                                 std::unique_ptr<DurationModel> durations,
                                                 std::unique_ptr<OutcomeSource> outcomes) {
  return std::make_unique<FluidExecutor>(machine, std::move(durations), std::move(outcomes));
}

}  // namespace hybridgen::testing
