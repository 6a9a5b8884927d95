// A machine small enough to work out by hand: one GPU with HBM, one CPU with DRAM and a CXL expander, PCIe in
// between. Every role has a lane of its own. Made by a test, read by what it tests.
#pragma once

#include "core/machine/machine.hpp"
#include "core/machine/model_shape.hpp"

namespace hybridgen::test {

struct TinyCapacities {
  Bytes hbm = 1 << 30;
  Bytes dram = 1 << 30;
  Bytes cxl = 1 << 30;
};

struct TinyMachine {
  Machine machine{"tiny"};
  ChannelId hbm_channel, dram_channel, cxl_channel, pcie_up, pcie_down, pcie_duplex, cxl_link;
  TierId hbm, dram, cxl;
  ProcessorId gpu, cpu;
  LaneId stream, host, h2d, d2h;

  explicit TinyMachine(const TinyCapacities& capacities = {}) {
    hbm_channel = machine.add_channel("hbm", ChannelKind::memory, 1e12);
    dram_channel = machine.add_channel("dram", ChannelKind::memory, 1e11);
    cxl_channel = machine.add_channel("cxl", ChannelKind::memory, 2e10);
    pcie_up = machine.add_channel("pcie up", ChannelKind::link, 3e10);
    pcie_down = machine.add_channel("pcie down", ChannelKind::link, 2e10);
    pcie_duplex = machine.add_channel("pcie duplex", ChannelKind::duplex, 4e10);
    cxl_link = machine.add_channel("cxl link", ChannelKind::link, 2e10);
    hbm = machine.add_tier("hbm", TierKind::hbm, capacities.hbm, hbm_channel);
    dram = machine.add_tier("dram", TierKind::dram, capacities.dram, dram_channel);
    cxl = machine.add_tier("cxl", TierKind::cxl, capacities.cxl, cxl_channel);
    gpu = machine.add_processor("gpu", ProcessorKind::gpu, {});
    cpu = machine.add_processor("cpu", ProcessorKind::cpu, {});
    stream = machine.add_lane("stream", gpu, 0);
    host = machine.add_lane("host threads", cpu, 4);
    h2d = machine.add_lane("copy up", gpu, 0);
    d2h = machine.add_lane("copy down", gpu, 0);
    machine.set_role(Role::device, stream);
    machine.set_role(Role::host, host);
    machine.set_role(Role::h2d, h2d);
    machine.set_role(Role::d2h, d2h);
    machine.set_access_links(gpu, hbm, {});
    machine.set_access_links(cpu, dram, {});
    machine.set_access_links(cpu, cxl, {cxl_link});
    machine.set_copy_links(dram, hbm, {pcie_up, pcie_duplex});
    machine.set_copy_links(hbm, dram, {pcie_down, pcie_duplex});
    machine.set_copy_links(cxl, hbm, {cxl_link, pcie_up, pcie_duplex});
    machine.set_copy_links(hbm, cxl, {pcie_down, pcie_duplex, cxl_link});
  }
};

// Two layers, two query heads per KV head; every width differs from every other, so that a mix-up shows.
inline ModelShape tiny_model(int layers = 2) {
  ModelShape model;
  model.name = "tiny";
  model.layers = layers;
  model.hidden = 12;
  model.query_heads = 4;
  model.kv_heads = 2;
  model.head_dim = 5;
  model.ffn = 28;
  model.vocab = 64;
  model.max_context = 256;
  model.rope_theta = 10000;
  model.norm_eps = 1e-5;
  model.tied_embeddings = true;
  return model;
}

}  // namespace hybridgen::test
