#include "runtime/calibrate/topology.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "runtime/host/cores.hpp"
#include "runtime/host/numa_memory.hpp"

namespace hybridgen {
namespace {

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

std::string list_of(const std::vector<int>& numbers) {
  if (numbers.empty()) return "no cores";
  if (numbers.size() == 1) return "core " + std::to_string(numbers.front());
  const bool run = numbers.back() - numbers.front() + 1 == static_cast<int>(numbers.size());
  if (run) return "cores " + std::to_string(numbers.front()) + " to " + std::to_string(numbers.back());
  return std::to_string(numbers.size()) + " cores";
}

}  // namespace

Topology read_topology() {
  Topology topology;
  topology.processor = processor_name();
  topology.memory = usable_memory();
  topology.last_cache = last_cache_bytes();
  for (const int node : usable_nodes()) topology.nodes.push_back({node, {}, free_bytes(node)});
  if (topology.nodes.empty()) topology.nodes.push_back({});
  for (int core = 0; core < usable_cores(); ++core) {
    const int node = node_of_core(core);
    const auto home = std::find_if(topology.nodes.begin(), topology.nodes.end(),
                                   [&](const MemoryNode& each) { return each.node == node; });
    (home == topology.nodes.end() ? topology.nodes.front() : *home).cores.push_back(core);
  }
  std::stable_partition(topology.nodes.begin(), topology.nodes.end(),
                        [](const MemoryNode& node) { return !node.cores.empty(); });
  return topology;
}

std::string describe(const Topology& topology) {
  std::ostringstream text;
  text << topology.processor << ", " << usable_cores() << " cores, " << (topology.memory >> 30)
       << " GiB of memory";
  if (topology.last_cache > 0) text << ", last cache " << (topology.last_cache >> 20) << " MiB";
  for (const MemoryNode& node : topology.nodes) {
    if (node.node < 0) continue;
    text << "\nnode " << node.node << ": " << list_of(node.cores) << ", " << (node.free >> 30) << " GiB free";
  }
  return text.str();
}

}  // namespace hybridgen
