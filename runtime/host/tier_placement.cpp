#include "runtime/host/tier_placement.hpp"

#include <algorithm>
#include <map>

#include "core/base/error.hpp"
#include "core/residency/fits.hpp"
#include "runtime/host/numa_memory.hpp"

namespace hybridgen {
namespace {

void check_node(const Machine& machine, const Tier& tier) {
  const std::string memory = "platform " + machine.name() + ": memory " + tier.name;
  if (tier.kind == TierKind::cxl && tier.numa_node < 0 && !tier.emulated) {
    throw NotAvailable(memory +
                       " is CXL and names no numa_node; name the node that the expander is here, or say "
                       "emulated: true to let DRAM stand in for it");
  }
  if (tier.kind == TierKind::interleaved && !tier.emulated &&
      nodes_of(machine, tier.id).size() != tier.over.size()) {
    throw NotAvailable(memory +
                       " alternates between memories that do not each name a numa_node of their own; "
                       "name one for each memory under over");
  }
  if (tier.numa_node < 0) return;
  const std::vector<int> nodes = usable_nodes();
  if (std::find(nodes.begin(), nodes.end(), tier.numa_node) != nodes.end()) return;
  std::string usable;
  for (const int node : nodes) usable += (usable.empty() ? "" : ", ") + std::to_string(node);
  throw NotAvailable(memory + " lies on NUMA node " + std::to_string(tier.numa_node) +
                     ", which this process cannot use here; usable: " + (usable.empty() ? "none" : usable));
}

struct Wanted {
  Bytes bytes = 0;
  std::string memories;
};

}  // namespace

std::vector<int> nodes_of(const Machine& machine, TierId id) {
  const Tier& tier = machine.tier(id);
  std::vector<int> nodes;
  if (tier.numa_node >= 0) nodes.push_back(tier.numa_node);
  for (const TierId below : tier.over) {
    if (machine.tier(below).numa_node >= 0) nodes.push_back(machine.tier(below).numa_node);
  }
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

MemorySource source_of(const Machine& machine, TierId tier) {
  std::vector<int> nodes = nodes_of(machine, tier);
  return nodes.empty() ? system_memory() : node_memory(std::move(nodes));
}

void check_placement(const Machine& machine, const MemoryPlan& plan, Weights weights) {
  for (const Tier& tier : machine.tiers()) check_node(machine, tier);
  MemoryPlan left = plan;
  if (weights == Weights::placed) {
    std::erase_if(left.reservations, [](const Reservation& r) {
      return r.purpose == Purpose::weights || r.purpose == Purpose::predictor;
    });
  }
  std::map<int, Wanted> wanted;  // by node; several tiers may share one
  for (const Tier& tier : machine.tiers()) {
    const Bytes bytes = bytes_in(machine, left, tier.id);
    if (tier.numa_node < 0 || bytes == 0) continue;
    Wanted& node = wanted[tier.numa_node];
    node.bytes += bytes;
    node.memories += (node.memories.empty() ? "" : ", ") + tier.name;
  }
  std::string shortages;
  for (const auto& [node, want] : wanted) {
    const Bytes free = free_bytes(node);
    if (want.bytes <= free) continue;
    shortages += "\n  NUMA node " + std::to_string(node) + " (" + want.memories +
                 "): " + std::to_string(want.bytes) + " bytes wanted, " + std::to_string(free) + " free";
  }
  if (!shortages.empty()) throw DoesNotFit("does not fit on " + machine.name() + ":" + shortages);
}

}  // namespace hybridgen
