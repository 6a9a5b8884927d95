// The engine that a test program brings for the tests written against the engine port.
#pragma once

#include <memory>

#include "sim/world/plan_run.hpp"
#include "sim/world/simulated_executor.hpp"

namespace hybridgen::testing {

const char* engine_under_test();

// An engine for these channels and at most 64 flows and fixed times at once; paths: every one a plan will
// take.
std::unique_ptr<Engine> make_engine(std::vector<double> channel_bytes_per_s, std::vector<ChannelPath> paths);

std::unique_ptr<SimulatedExecutor> make_executor(const Machine& machine,
                                                 std::unique_ptr<DurationModel> durations,
                                                 std::unique_ptr<OutcomeSource> outcomes);

}  // namespace hybridgen::testing
