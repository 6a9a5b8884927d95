#include "sim/fluid/fluid_executor.hpp"

#include <utility>

#include "sim/fluid/fluid_engine.hpp"

namespace hybridgen {
namespace {

std::vector<double> rates_of(const Machine& machine) {
  std::vector<double> rates;
  for (const Channel& channel : machine.channels()) rates.push_back(channel.bytes_per_s);
  return rates;
}

}  // namespace

FluidExecutor::FluidExecutor(const Machine& machine, std::unique_ptr<DurationModel> durations,
                             std::unique_ptr<OutcomeSource> outcomes)
    : SimulatedExecutor(machine, std::make_unique<FluidEngine>(rates_of(machine)), std::move(durations),
                        std::move(outcomes)) {}

}  // namespace hybridgen
