#include "cli/local_platform.hpp"

#include <cmath>
#include <sstream>

#include "formats/platform_writer.hpp"

namespace hybridgen::cli {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
constexpr double kMemoryShare = 0.4;

std::string measured(double spread) {
  std::ostringstream text;
  text << "measured here, median; spread " << std::round(spread * 1000) / 10 << " %";
  return text.str();
}

PlatformDescription::Kernel kernel_of(OpKind kind, const Calibration& calibration) {
  const auto index = static_cast<std::size_t>(kind);
  const KernelCost& cost = calibration.kernels[index];
  PlatformDescription::Kernel kernel;
  kernel.op = name_of(kind);
  kernel.fixed_ns = four_digits(cost.fixed_ns);
  if (cost.bytes_per_s > 0) kernel.bandwidth_GBps = four_digits(cost.bytes_per_s / 1e9);
  if (cost.flops_per_s > 0) kernel.compute_GFLOPs = four_digits(cost.flops_per_s / 1e9);
  if (cost.items_per_s > 0) kernel.scan_Gitems_per_s = four_digits(cost.items_per_s / 1e9);
  if (cost.row_ns > 0) kernel.row_ns = four_digits(cost.row_ns);
  kernel.source = measured(calibration.spread[index]);
  return kernel;
}

std::vector<PlatformDescription::Kernel> kernels_of(std::initializer_list<OpKind> kinds,
                                                    const Calibration& calibration) {
  PlatformDescription::Kernel dispatch;
  dispatch.op = "default";
  dispatch.fixed_ns = four_digits(calibration.kernels[static_cast<std::size_t>(OpKind::load_kv)].fixed_ns);
  dispatch.source = "measured here, on the device's lane: an op that does nothing";
  std::vector<PlatformDescription::Kernel> kernels = {dispatch};
  for (const OpKind kind : kinds) kernels.push_back(kernel_of(kind, calibration));
  return kernels;
}

}  // namespace

PlatformDescription local_platform(const Calibration& calibration) {
  PlatformDescription platform;
  platform.name = "local";
  platform.description = calibration.topology.processor + ", " + std::to_string(calibration.cores) +
                         " cores; a thread group plays the device";
  if (!calibration.quiet)
    platform.description += "; NOT QUIET while it was measured: " + calibration.disturbance;
  const std::string copies = "measured here: copies between the two memories by the host lane";
  platform.channels = {
      {"dram", ChannelKind::memory, four_digits(calibration.stream_bytes_per_s.value / 1e9),
       measured(calibration.stream_bytes_per_s.spread) + "; streaming read by all cores of a node"},
      {"h2d", ChannelKind::link, four_digits(calibration.h2d.bytes_per_s / 1e9), copies},
      {"d2h", ChannelKind::link, four_digits(calibration.d2h.bytes_per_s / 1e9), copies},
  };
  const double share =
      std::floor(static_cast<double>(calibration.topology.memory) * kMemoryShare / kGiB * 100) / 100;
  const std::string share_source = "this machine's memory, two fifths for each side: our choice";
  const auto node = [](int number) { return number < 0 ? std::nullopt : std::optional<int>(number); };
  platform.memories = {
      {"device", TierKind::hbm, share, "dram", false, share_source, node(calibration.device_node)},
      {"dram", TierKind::dram, share, "dram", false, share_source, node(calibration.host_node)}};
  platform.processors = {
      {"device",
       ProcessorKind::host_device,
       {{"device", {}}},
       kernels_of(
           {OpKind::embed,         OpKind::norm_qkv,       OpKind::attend,        OpKind::prefill_attend,
            OpKind::keep_kv,       OpKind::device_logits,  OpKind::joint_attend,  OpKind::project_out,
            OpKind::ffn,           OpKind::lm_head,        OpKind::sample,        OpKind::device_partial,
            OpKind::join_partials, OpKind::page_bounds,    OpKind::select_pages,  OpKind::attend_pages,
            OpKind::score_prompt,  OpKind::keep_rows,      OpKind::evict_row,     OpKind::attend_kept,
            OpKind::predict_query, OpKind::row_logits,     OpKind::fit_logits,    OpKind::correct_scores,
            OpKind::partial_keys,  OpKind::partial_select, OpKind::attend_fetched},
           calibration)},
      {"host",
       ProcessorKind::cpu,
       {{"dram", {}}},
       kernels_of(
           {OpKind::host_logits, OpKind::select, OpKind::pack_rows, OpKind::host_attend, OpKind::pack_keys},
           calibration)},
  };
  platform.lanes = {
      {"device", "device", calibration.lanes.device_threads, 0, {Role::device}},
      {"host",
       "host",
       calibration.lanes.host_threads,
       calibration.lanes.device_threads,
       {Role::host, Role::h2d, Role::d2h}},
  };
  platform.copies = {{"dram", "device", {"h2d"}}, {"device", "dram", {"d2h"}}};
  platform.h2d = {four_digits(calibration.h2d.fixed_ns), four_digits(calibration.h2d.bytes_per_s / 1e9),
                  measured(calibration.h2d_spread)};
  platform.d2h = {four_digits(calibration.d2h.fixed_ns), four_digits(calibration.d2h.bytes_per_s / 1e9),
                  measured(calibration.d2h_spread)};
  platform.step_gap_ns = four_digits(calibration.step_gap_ns);
  platform.step_gap_source = "measured here: from a step's last op to the next one's first, median";
  platform.measured = calibration.measured;
  for (Measurement& m : platform.measured) {
    m.value = four_digits(m.value);
    m.spread = std::round(m.spread * 1000) / 1000;
  }
  return platform;
}

}  // namespace hybridgen::cli
