// A platform file as plain values, in the file's own units and order: what the reader fills in and the writer
// writes out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/machine/channel.hpp"
#include "core/machine/lane.hpp"
#include "core/machine/measurement.hpp"
#include "core/machine/processor.hpp"
#include "core/machine/tier.hpp"

namespace hybridgen {

struct PlatformDescription {
  struct Channel {
    std::string name;
    ChannelKind kind = ChannelKind::memory;
    double bandwidth_GBps = 0;
    std::string source;
  };
  struct Memory {
    std::string name;
    TierKind kind = TierKind::dram;
    double capacity_GiB = 0;
    std::string channel;
    bool emulated = false;
    std::string source;
    std::optional<int> numa_node{};   // absent: wherever the system puts the pages
    std::vector<std::string> over{};  // of an interleaved one: the memories that get its pages in turn
  };
  struct Reach {
    std::string memory;
    std::vector<std::string> links;  // channels beyond the memory's own
  };
  struct Kernel {
    std::string op;  // an op kind's name, or "default"
    double fixed_ns = 0;
    std::optional<double> bandwidth_GBps;  // absent: no limit of its own
    std::optional<double> compute_GFLOPs;
    std::optional<double> scan_Gitems_per_s;
    std::optional<double> row_ns;
    std::string source;
  };
  struct Processor {
    std::string name;
    ProcessorKind kind = ProcessorKind::cpu;
    std::vector<Reach> reaches;
    std::vector<Kernel> kernels;
  };
  struct Lane {
    std::string name;
    std::string processor;
    std::optional<int> threads;     // of a cpu or host_device; absent: 1
    std::optional<int> first_core;  // absent: 0
    std::vector<Role> roles;
  };
  struct Copy {
    std::string from;
    std::string to;
    std::vector<std::string> links;
  };
  struct Cost {
    double fixed_ns = 0;
    double bandwidth_GBps = 0;
    std::string source;
  };

  std::string name;
  std::string description;
  std::vector<Channel> channels;
  std::vector<Memory> memories;
  std::vector<Processor> processors;
  std::vector<Lane> lanes;
  std::vector<Copy> copies;
  Cost h2d;
  Cost d2h;
  double step_gap_ns = 0;
  std::string step_gap_source;
  std::vector<Measurement> measured{};  // what else a calibration found; nothing is computed from it
};

}  // namespace hybridgen
