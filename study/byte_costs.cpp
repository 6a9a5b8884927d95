#include "study/byte_costs.hpp"

#include <algorithm>
#include <optional>

namespace hybridgen {
namespace {

// The narrowest of the channels and of what the op itself reaches (0: no limit of its own).
void limit(ByteCost& cost, const Machine& machine, const ChannelPath& path, double own,
           const char* own_name) {
  if (own > 0) {
    cost.bytes_per_s = own;
    cost.limited_by = own_name;
  }
  for (const ChannelId id : path) {
    const Channel& channel = machine.channel(id);
    if (!cost.limited_by.empty() && channel.bytes_per_s >= cost.bytes_per_s) continue;
    cost.bytes_per_s = channel.bytes_per_s;
    cost.limited_by = channel.name;
  }
}

ByteCost in_place(const Machine& machine, const Processor& processor, const Tier& tier) {
  ByteCost cost;
  cost.from = processor.name;
  cost.to = tier.name;
  cost.emulated = tier.emulated;
  cost.reachable = machine.reaches(processor.id, tier.id);
  if (!cost.reachable) return cost;
  const auto& kernels = machine.costs(processor.id).kernels;
  const auto fastest = std::max_element(kernels.begin(), kernels.end(), [](const auto& a, const auto& b) {
    return a.bytes_per_s < b.bytes_per_s;  // of equals the first, so the answer does not hang on the order
  });
  cost.fixed_ns = fastest->fixed_ns;
  limit(cost, machine, machine.access_path(processor.id, tier.id), fastest->bytes_per_s, "its kernels");
  return cost;
}

ByteCost copied(const Machine& machine, const Tier& from, const Tier& to) {
  ByteCost cost;
  cost.from = from.name;
  cost.to = to.name;
  cost.emulated = from.emulated || to.emulated;
  cost.reachable = machine.copies(from.id, to.id);
  if (!cost.reachable) return cost;
  std::optional<Role> role;
  if (to.kind == TierKind::hbm) role = Role::h2d;
  if (from.kind == TierKind::hbm) role = Role::d2h;
  if (role) cost.fixed_ns = machine.copy_cost(*role).fixed_ns;
  if (!role) cost.note = "no lane copies this way";
  limit(cost, machine, machine.copy_path(from.id, to.id), role ? machine.copy_cost(*role).bytes_per_s : 0,
        "copy engine");
  return cost;
}

}  // namespace

ByteCostReport byte_costs(const Machine& machine) {
  ByteCostReport report;
  report.platform = machine.name();
  for (const Tier& tier : machine.tiers()) {
    report.memories.push_back({tier.name, name_of(tier.kind), tier.capacity, tier.emulated});
  }
  for (const Processor& processor : machine.processors()) {
    for (const Tier& tier : machine.tiers()) report.in_place.push_back(in_place(machine, processor, tier));
  }
  for (const Tier& from : machine.tiers()) {
    for (const Tier& to : machine.tiers()) {
      if (from.id != to.id) report.copies.push_back(copied(machine, from, to));
    }
  }
  return report;
}

}  // namespace hybridgen
