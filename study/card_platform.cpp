#include "study/card_platform.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/machine/op_kind.hpp"
#include "formats/platform_writer.hpp"

namespace hybridgen {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
constexpr const char* kEngineOfOurs = "kernel over mapped memory";  // how the executor moves KV

// One figure as a key of a platform file: four digits, more would be noise.
struct Known {
  double value = 0;
  std::string source;
};

class Figures {
 public:
  explicit Figures(const std::vector<BenchResult>& results) : results_(results) {}

  // The stage's figure of this subject and quantity whose condition begins with `condition`.
  Known at(const std::string& stage, const std::string& subject, const std::string& condition,
           const std::string& quantity) const {
    for (const BenchResult& result : results_) {
      if (result.stage != stage) continue;
      for (const Measurement& figure : result.figures) {
        if (figure.subject != subject || figure.quantity != quantity ||
            figure.condition.rfind(condition, 0) != 0)
          continue;
        return {four_digits(figure.value), "measured on " + result.card + ", " + result.date + ": " +
                                               subject + ", " + figure.condition + "; spread " +
                                               std::to_string(std::lround(figure.spread * 100)) + " %"};
      }
    }
    throw NotAvailable("the platform of this card needs the stage " + stage + " (" + subject + ", " +
                       condition + ") first");
  }

 private:
  const std::vector<BenchResult>& results_;
};

PlatformDescription::Kernel kernel_of(OpKind kind, double fixed_ns, const Known& rate, bool is_flops) {
  PlatformDescription::Kernel kernel;
  kernel.op = name_of(kind);
  kernel.fixed_ns = fixed_ns;
  // TFLOP/s in the result, GFLOP/s in the file.
  if (is_flops) kernel.compute_GFLOPs = rate.value * 1000;
  if (!is_flops) kernel.bandwidth_GBps = rate.value;
  kernel.source = rate.source;
  return kernel;
}

std::vector<PlatformDescription::Kernel> card_kernels(const Figures& figures, double fixed_ns,
                                                      const std::string& launch_source) {
  const auto rate = [&](const char* kernel, const char* condition) {
    return figures.at("kernels", kernel, condition, "rate");
  };
  PlatformDescription::Kernel other;
  other.op = "default";
  other.fixed_ns = fixed_ns;
  other.source = "fixed: " + launch_source + "; no limit of its own besides the memory's";
  std::vector<PlatformDescription::Kernel> kernels = {other};
  const auto add = [&](OpKind kind, const Known& known, bool is_flops = false) {
    kernels.push_back(kernel_of(kind, fixed_ns, known, is_flops));
  };
  add(OpKind::attend, rate("attend_tensor", "32768 tokens"));
  add(OpKind::device_logits, rate("logits_tensor", "32768 tokens"));
  add(OpKind::joint_attend, rate("joint_tensor", "1024 tokens"));
  add(OpKind::keep_kv, rate("copy_rows", ""));
  add(OpKind::lm_head, rate("gemv", "lm_head"));
  const Known multiply = figures.at("kernels", "gemm", "", "arithmetic rate");
  for (const auto& [kind, matrix] : {std::pair{OpKind::norm_qkv, "qkv"},
                                     {OpKind::project_out, "attention_out"},
                                     {OpKind::ffn, "gate_up"}}) {
    add(kind, rate("gemv", matrix));
    kernels.back().compute_GFLOPs = multiply.value * 1000;
    kernels.back().source += "; compute: " + multiply.source;
  }
  add(OpKind::prefill_attend, figures.at("kernels", "prefill_tensor", "", "arithmetic rate"), true);
  return kernels;
}

}  // namespace

PlatformDescription card_platform(const CardFacts& facts, const std::vector<BenchResult>& results) {
  const Figures figures(results);
  const Known hbm = figures.at("kernels", "stream_read", "", "rate");
  const Known dram = figures.at("copies", "host memory", "", "streaming read");
  const Known up = figures.at("copies", kEngineOfOurs, "h2d, 256 MiB", "rate");
  const Known down = figures.at("copies", kEngineOfOurs, "d2h, 256 MiB", "rate");
  const Known both = figures.at("copies", kEngineOfOurs, "both at once, 256 MiB", "rate");
  const Known small_up = figures.at("copies", kEngineOfOurs, "h2d, 4 KiB", "time");
  const Known small_down = figures.at("copies", kEngineOfOurs, "d2h, 4 KiB", "time");
  const Known launch = figures.at("launches", "graph replay", "", "time on the card per node");
  const Known replay = figures.at("launches", "graph replay", "", "host time");
  const Known join = figures.at("launches", "flag join", "", "round trip");
  const auto ns = [](const Known& us) { return four_digits(us.value * 1000); };
  const auto gib = [](Bytes bytes) { return std::floor(static_cast<double>(bytes) / kGiB * 100) / 100; };

  PlatformDescription platform;
  platform.name = "card";
  platform.description = facts.card + ", as bench-machine measured it";
  platform.channels = {{"hbm", ChannelKind::memory, hbm.value, hbm.source},
                       {"dram", ChannelKind::memory, dram.value, dram.source},
                       {"h2d", ChannelKind::link, up.value, up.source},
                       {"d2h", ChannelKind::link, down.value, down.source},
                       {"duplex", ChannelKind::duplex, both.value, both.source}};
  platform.memories = {
      {"hbm", TierKind::hbm, gib(facts.card_memory), "hbm", false, "what the driver had free"},
      {"dram", TierKind::dram, gib(facts.host_memory), "dram", false, "what this process may use"}};
  PlatformDescription::Kernel host;
  host.op = "default";
  host.fixed_ns = ns(join);
  host.bandwidth_GBps = dram.value;
  host.source =
      "assumption: fixed is a join by flags, bandwidth the streaming read of all cores; the host's kernels"
      " were not measured one by one";
  platform.processors = {
      {"gpu", ProcessorKind::gpu, {{"hbm", {}}}, card_kernels(figures, ns(launch), launch.source)},
      {"cpu", ProcessorKind::cpu, {{"dram", {}}}, {host}}};
  platform.lanes = {{"gpu", "gpu", std::nullopt, std::nullopt, {Role::device}},
                    {"h2d", "gpu", std::nullopt, std::nullopt, {Role::h2d}},
                    {"d2h", "gpu", std::nullopt, std::nullopt, {Role::d2h}},
                    {"host", "cpu", facts.host_threads, 1, {Role::host}}};
  platform.copies = {{"dram", "hbm", {"h2d", "duplex"}}, {"hbm", "dram", {"d2h", "duplex"}}};
  platform.h2d = {ns(small_up), up.value, up.source};
  platform.d2h = {ns(small_down), down.value, down.source};
  platform.step_gap_ns = ns(replay);
  platform.step_gap_source = replay.source;
  return platform;
}

}  // namespace hybridgen
