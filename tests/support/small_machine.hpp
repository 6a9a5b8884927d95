// A machine and a model small enough to work out by hand: hbm, dram and cxl, four lanes, round figures.
#pragma once

#include "core/machine/machine.hpp"
#include "core/machine/model_shape.hpp"
#include "core/policy/policy.hpp"

namespace hybridgen::testing {

// Channels by id.
inline constexpr int kHbm = 0, kDram = 1, kCxl = 2, kPcieUp = 3, kPcieDown = 4, kPcieDuplex = 5, kCxlPort = 6;

inline ProcessorCosts small_costs(double fixed_ns, double bytes_per_s, double flops_per_s, double items_per_s,
                                  double row_ns) {
  ProcessorCosts costs;
  costs.kernels.fill({fixed_ns, bytes_per_s, flops_per_s, items_per_s, row_ns});
  return costs;
}

// 1 byte of hbm takes 0.001 ns, of dram 0.02 ns, of cxl 0.04 ns, of PCIe 0.05 ns (0.04 for both ways
// together).
inline Machine small_machine() {
  Machine machine("small");
  const ChannelId hbm = machine.add_channel("hbm", ChannelKind::memory, 1e12);
  const ChannelId dram = machine.add_channel("dram", ChannelKind::memory, 50e9);
  const ChannelId cxl = machine.add_channel("cxl", ChannelKind::memory, 25e9);
  const ChannelId up = machine.add_channel("pcie_up", ChannelKind::link, 20e9);
  const ChannelId down = machine.add_channel("pcie_down", ChannelKind::link, 20e9);
  const ChannelId duplex = machine.add_channel("pcie_duplex", ChannelKind::duplex, 25e9);
  const ChannelId port = machine.add_channel("cxl_port", ChannelKind::link, 32e9);
  const TierId device = machine.add_tier("hbm", TierKind::hbm, Bytes{1} << 34, hbm);
  const TierId host = machine.add_tier("dram", TierKind::dram, Bytes{1} << 36, dram);
  const TierId far = machine.add_tier("cxl", TierKind::cxl, Bytes{1} << 36, cxl);
  const ProcessorId gpu =
      machine.add_processor("gpu", ProcessorKind::gpu, small_costs(2000, 800e9, 50e12, 100e9, 1));
  const ProcessorId cpu =
      machine.add_processor("cpu", ProcessorKind::cpu, small_costs(500, 40e9, 500e9, 2e9, 20));
  machine.set_role(Role::device, machine.add_lane("compute", gpu, 0));
  machine.set_role(Role::host, machine.add_lane("cpu", cpu, 4));
  machine.set_role(Role::h2d, machine.add_lane("h2d", gpu, 0));
  machine.set_role(Role::d2h, machine.add_lane("d2h", gpu, 0));
  machine.set_access_links(gpu, device, {});
  machine.set_access_links(cpu, host, {});
  machine.set_access_links(cpu, far, {port});
  machine.set_copy_links(host, device, {up, duplex});
  machine.set_copy_links(far, device, {port, up, duplex});
  machine.set_copy_links(device, host, {down, duplex});
  machine.set_copy_links(device, far, {down, duplex, port});
  machine.set_copy_cost(Role::h2d, {1000, 16e9});
  machine.set_copy_cost(Role::d2h, {1200, 15e9});
  machine.set_step_gap_ns(7000);
  return machine;
}

inline ModelShape small_model() {
  ModelShape model;
  model.name = "small";
  model.layers = 3;
  model.hidden = 64;
  model.query_heads = 4;
  model.kv_heads = 2;
  model.head_dim = 16;
  model.ffn = 128;
  model.vocab = 256;
  model.max_context = 4096;
  model.rope_theta = 10'000;
  model.norm_eps = 1e-5;
  return model;
}

// A preset with some choices replaced, under a name for the test, and parameters that suit a prompt of 96
// tokens.
struct NamedPolicy {
  std::string name;
  Composition composition;
  Params params;
};

// Names a test's parameter in ctest's list.
inline void PrintTo(const NamedPolicy& choice, std::ostream* out) {
  *out << choice.name;
}

inline NamedPolicy choose(const std::string& preset, const std::string& select = {},
                          const std::string& placement = {}, Tokens device_kv_tokens = 24) {
  NamedPolicy choice{preset, find_preset(preset)->composition, {}};
  if (!select.empty()) choice.composition.select = select;
  if (!placement.empty()) choice.composition.placement = placement;
  for (const std::string& replaced : {select, placement}) {
    if (!replaced.empty()) choice.name += "_" + replaced;
  }
  for (const ParamSpec& spec : params_of(choice.composition)) {
    if (spec.otherwise) choice.params.set(spec.name, *spec.otherwise);
  }
  choice.params.set("device_kv_tokens", device_kv_tokens);
  choice.params.set("topk_ratio", 100'000);
  choice.params.set("budget_tokens", 40);
  return choice;
}

inline std::vector<NamedPolicy> all_choices() {
  return {choose("full-gpu"),
          choose("flexgen"),
          choose("flexgen", "", "semantic"),
          choose("flexgen-cpu-attention"),
          choose("flexgen-cpu-attention", "", "semantic"),
          choose("hybridgen"),
          choose("hybridgen", "all"),
          choose("hybridgen", "threshold"),
          choose("hybridgen", "threshold", "semantic"),
          choose("streaming-llm"),
          choose("h2o"),
          choose("snapkv")};
}

}  // namespace hybridgen::testing
