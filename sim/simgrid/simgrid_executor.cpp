#include "sim/simgrid/simgrid_executor.hpp"

#include <set>
#include <utility>

#include "sim/simgrid/simgrid_engine.hpp"

namespace hybridgen {
namespace {

// A lane has one op at a time; its accesses and copies are at most 8 flows, and its fixed time or its flows
// without channels are one leg more.
constexpr int kLegsPerLane = 9;

SimGridPlatform platform_of(const Machine& machine) {
  SimGridPlatform platform;
  for (const Channel& channel : machine.channels())
    platform.channel_bytes_per_s.push_back(channel.bytes_per_s);
  std::set<ChannelPath> paths;
  for (const Tier& tier : machine.tiers()) {
    for (const Processor& processor : machine.processors()) {
      if (machine.reaches(processor.id, tier.id)) paths.insert(machine.access_path(processor.id, tier.id));
    }
    for (const Tier& to : machine.tiers()) {
      if (machine.copies(tier.id, to.id)) paths.insert(machine.copy_path(tier.id, to.id));
    }
  }
  platform.paths.assign(paths.begin(), paths.end());
  platform.most_legs = kLegsPerLane * static_cast<int>(machine.lanes().size());
  return platform;
}

}  // namespace

SimGridExecutor::SimGridExecutor(const Machine& machine, std::unique_ptr<DurationModel> durations,
                                 std::unique_ptr<OutcomeSource> outcomes)
    : SimulatedExecutor(machine, std::make_unique<SimGridEngine>(platform_of(machine)), std::move(durations),
                        std::move(outcomes)) {}

}  // namespace hybridgen
