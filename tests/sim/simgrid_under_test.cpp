#include "sim/simgrid/simgrid_engine.hpp"
#include "sim/simgrid/simgrid_executor.hpp"
#include "tests/sim/engine_under_test.hpp"

namespace hybridgen::testing {

const char* engine_under_test() {
  return "simgrid";
}

std::unique_ptr<Engine> make_engine(std::vector<double> channel_bytes_per_s, std::vector<ChannelPath> paths) {
  return std::make_unique<SimGridEngine>(
      SimGridPlatform{std::move(channel_bytes_per_s), std::move(paths), 64});
}

std::unique_ptr<SimulatedExecutor> make_executor(const Machine& machine,
                                                 std::unique_ptr<DurationModel> durations,
                                                 std::unique_ptr<OutcomeSource> outcomes) {
  return std::make_unique<SimGridExecutor>(machine, std::move(durations), std::move(outcomes));
}

}  // namespace hybridgen::testing
