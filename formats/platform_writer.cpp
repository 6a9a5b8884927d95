#include "formats/platform_writer.hpp"

#include <cmath>
#include <sstream>

#include "formats/yaml_text.hpp"

namespace hybridgen {
namespace {

std::string cost_line(double fixed_ns, double bandwidth_GBps, const std::string& source) {
  return "{fixed_ns: " + yaml_number(fixed_ns) + ", bandwidth_GBps: " + yaml_number(bandwidth_GBps) +
         ", source: " + yaml_string(source) + "}";
}

void write_kernel(std::ostream& out, const PlatformDescription::Kernel& kernel) {
  out << "      " << kernel.op << ":\n        fixed_ns: " << yaml_number(kernel.fixed_ns) << "\n";
  const auto figure = [&](const char* key, const std::optional<double>& value) {
    if (value) out << "        " << key << ": " << yaml_number(*value) << "\n";
  };
  figure("bandwidth_GBps", kernel.bandwidth_GBps);
  figure("compute_GFLOPs", kernel.compute_GFLOPs);
  figure("scan_Gitems_per_s", kernel.scan_Gitems_per_s);
  figure("row_ns", kernel.row_ns);
  out << "        source: " << yaml_string(kernel.source) << "\n";
}

void write_memories(std::ostream& out, const PlatformDescription& platform) {
  out << "\nchannels:\n";
  for (const auto& channel : platform.channels) {
    out << "  - name: " << yaml_string(channel.name) << "\n    kind: " << name_of(channel.kind)
        << "\n    bandwidth_GBps: " << yaml_number(channel.bandwidth_GBps)
        << "\n    source: " << yaml_string(channel.source) << "\n";
  }
  out << "\nmemories:\n";
  for (const auto& memory : platform.memories) {
    out << "  - name: " << yaml_string(memory.name) << "\n    kind: " << name_of(memory.kind)
        << "\n    capacity_GiB: " << yaml_number(memory.capacity_GiB)
        << "\n    channel: " << yaml_string(memory.channel) << "\n";
    if (!memory.over.empty()) out << "    over: " << yaml_list(memory.over) << "\n";
    if (memory.numa_node) out << "    numa_node: " << *memory.numa_node << "\n";
    if (memory.emulated) out << "    emulated: true\n";
    out << "    source: " << yaml_string(memory.source) << "\n";
  }
}

void write_processors(std::ostream& out, const PlatformDescription& platform) {
  out << "\nprocessors:\n";
  for (const auto& processor : platform.processors) {
    out << "  - name: " << yaml_string(processor.name) << "\n    kind: " << name_of(processor.kind)
        << "\n    reaches:\n";
    for (const auto& reach : processor.reaches) {
      out << "      - {memory: " << yaml_string(reach.memory) << ", links: " << yaml_list(reach.links)
          << "}\n";
    }
    out << "    kernels:\n";
    for (const auto& kernel : processor.kernels) write_kernel(out, kernel);
  }
  out << "\nlanes:\n";
  for (const auto& lane : platform.lanes) {
    std::vector<std::string> roles;
    for (const Role role : lane.roles) roles.emplace_back(name_of(role));
    out << "  - name: " << yaml_string(lane.name) << "\n    processor: " << yaml_string(lane.processor)
        << "\n";
    if (lane.threads) out << "    threads: " << *lane.threads << "\n";
    if (lane.first_core) out << "    first_core: " << *lane.first_core << "\n";
    out << "    roles: " << yaml_list(roles) << "\n";
  }
}

// A line per figure: a diff of two calibrations shows which moved.
void write_measured(std::ostream& out, const PlatformDescription& platform) {
  if (platform.measured.empty()) return;
  out << "\nmeasured:\n";
  for (const Measurement& m : platform.measured) {
    out << "  - {of: " << yaml_string(m.subject) << ", where: " << yaml_string(m.condition)
        << ", what: " << yaml_string(m.quantity) << ", value: " << yaml_number(m.value)
        << ", unit: " << yaml_string(m.unit) << ", spread: " << yaml_number(m.spread) << "}\n";
  }
}

}  // namespace

double four_digits(double value) {
  if (value == 0) return 0;
  const double scale = std::pow(10.0, 3 - std::floor(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

std::string platform_yaml(const PlatformDescription& platform, const std::string& head) {
  std::ostringstream out;
  std::istringstream lines(head);
  for (std::string line; std::getline(lines, line);) out << "#" << (line.empty() ? "" : " ") << line << "\n";
  out << "platform: " << yaml_string(platform.name) << "\n";
  if (!platform.description.empty()) out << "description: " << yaml_string(platform.description) << "\n";
  write_memories(out, platform);
  write_processors(out, platform);
  out << "\ncopies:\n";
  for (const auto& copy : platform.copies) {
    out << "  - {from: " << yaml_string(copy.from) << ", to: " << yaml_string(copy.to)
        << ", links: " << yaml_list(copy.links) << "}\n";
  }
  const auto cost = [&](const char* key, const PlatformDescription::Cost& c) {
    out << "  " << key << ": " << cost_line(c.fixed_ns, c.bandwidth_GBps, c.source) << "\n";
  };
  out << "\ncopy_costs:\n";
  cost("h2d", platform.h2d);
  cost("d2h", platform.d2h);
  out << "\nstep_gap_ns: {value: " << yaml_number(platform.step_gap_ns)
      << ", source: " << yaml_string(platform.step_gap_source) << "}\n";
  write_measured(out, platform);
  return out.str();
}

}  // namespace hybridgen
