#include "runtime/cuda/bench/card_machine.hpp"

namespace hybridgen::cuda {

Machine bare_card_machine(Bytes card_memory, Bytes host_memory, int host_threads) {
  constexpr double kAnyRate = 1e9;  // channels are only counted, never timed
  Machine machine("card");
  const ChannelId hbm_channel = machine.add_channel("hbm", ChannelKind::memory, kAnyRate);
  const ChannelId dram_channel = machine.add_channel("dram", ChannelKind::memory, kAnyRate);
  const ChannelId up = machine.add_channel("h2d", ChannelKind::link, kAnyRate);
  const ChannelId down = machine.add_channel("d2h", ChannelKind::link, kAnyRate);
  const TierId hbm = machine.add_tier("hbm", TierKind::hbm, card_memory, hbm_channel);
  const TierId dram = machine.add_tier("dram", TierKind::dram, host_memory, dram_channel);
  const ProcessorId gpu = machine.add_processor("gpu", ProcessorKind::gpu, {});
  const ProcessorId cpu = machine.add_processor("cpu", ProcessorKind::cpu, {});
  machine.set_access_links(gpu, hbm, {});
  machine.set_access_links(cpu, dram, {});
  machine.set_copy_links(dram, hbm, {up});
  machine.set_copy_links(hbm, dram, {down});
  machine.set_role(Role::device, machine.add_lane("gpu", gpu, 0));
  machine.set_role(Role::h2d, machine.add_lane("h2d", gpu, 0));
  machine.set_role(Role::d2h, machine.add_lane("d2h", gpu, 0));
  machine.set_role(Role::host, machine.add_lane("host", cpu, host_threads, 1));
  return machine;
}

}  // namespace hybridgen::cuda
