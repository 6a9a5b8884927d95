// A platform's description in the units of the core.
#include <cmath>

#include "formats/platform_reader.hpp"

namespace hybridgen {
namespace {

using Description = PlatformDescription;

constexpr double kGB = 1e9;
constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

template <class IdType, class List>
IdType id_of(const List& list, const std::string& name) {
  for (const auto& entry : list) {
    if (entry.name == name) return entry.id;
  }
  return IdType();
}

ChannelPath path_of(const Machine& machine, const std::vector<std::string>& links) {
  ChannelPath path;
  for (const std::string& link : links) path.push_back(id_of<ChannelId>(machine.channels(), link));
  return path;
}

ProcessorCosts costs_of(const Description::Processor& processor) {
  const auto cost = [](const Description::Kernel& kernel) {
    return KernelCost{kernel.fixed_ns, kernel.bandwidth_GBps.value_or(0) * kGB,
                      kernel.compute_GFLOPs.value_or(0) * kGB, kernel.scan_Gitems_per_s.value_or(0) * kGB,
                      kernel.row_ns.value_or(0)};
  };
  ProcessorCosts costs;
  for (const auto& kernel : processor.kernels) {
    if (kernel.op == "default") costs.kernels.fill(cost(kernel));
  }
  for (const auto& kernel : processor.kernels) {
    OpKind kind = OpKind::embed;
    if (parse_op_kind(kernel.op, kind)) costs.kernels[static_cast<std::size_t>(kind)] = cost(kernel);
  }
  return costs;
}

void add_memory(Machine& machine, const Description::Memory& memory) {
  bool emulated = memory.emulated;
  std::vector<TierId> over;
  for (const std::string& below : memory.over) {
    over.push_back(id_of<TierId>(machine.tiers(), below));
    emulated = emulated || machine.tier(over.back()).emulated;
  }
  const TierId id = machine.add_tier(memory.name, memory.kind, std::llround(memory.capacity_GiB * kGiB),
                                     id_of<ChannelId>(machine.channels(), memory.channel), emulated);
  if (memory.numa_node) machine.set_numa_node(id, *memory.numa_node);
  if (!over.empty()) machine.set_interleaved(id, std::move(over));
}

}  // namespace

Machine machine_from(const PlatformDescription& platform) {
  Machine machine(platform.name);
  for (const auto& channel : platform.channels) {
    machine.add_channel(channel.name, channel.kind, channel.bandwidth_GBps * kGB);
  }
  for (const auto& memory : platform.memories) add_memory(machine, memory);
  for (const auto& processor : platform.processors) {
    const ProcessorId id = machine.add_processor(processor.name, processor.kind, costs_of(processor));
    for (const auto& reach : processor.reaches) {
      machine.set_access_links(id, id_of<TierId>(machine.tiers(), reach.memory),
                               path_of(machine, reach.links));
    }
  }
  for (const auto& lane : platform.lanes) {
    const auto processor = id_of<ProcessorId>(machine.processors(), lane.processor);
    const bool gpu = machine.processor(processor).kind == ProcessorKind::gpu;
    const LaneId id = machine.add_lane(lane.name, processor, gpu ? 0 : lane.threads.value_or(1),
                                       lane.first_core.value_or(0));
    for (const Role role : lane.roles) machine.set_role(role, id);
  }
  for (const auto& copy : platform.copies) {
    machine.set_copy_links(id_of<TierId>(machine.tiers(), copy.from), id_of<TierId>(machine.tiers(), copy.to),
                           path_of(machine, copy.links));
  }
  machine.set_copy_cost(Role::h2d, {platform.h2d.fixed_ns, platform.h2d.bandwidth_GBps * kGB});
  machine.set_copy_cost(Role::d2h, {platform.d2h.fixed_ns, platform.d2h.bandwidth_GBps * kGB});
  machine.set_step_gap_ns(platform.step_gap_ns);
  return machine;
}

}  // namespace hybridgen
