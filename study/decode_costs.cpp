#include "study/decode_costs.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>

#include "core/machine/op_kind.hpp"
#include "formats/platform_writer.hpp"

namespace hybridgen {
namespace {

constexpr const char* kSystems[] = {"full-gpu", "hybridgen", "flexgen", "flexgen-cpu-attention",
                                    "hybridgen, one layer ahead"};
constexpr double kNsPerUs = 1e3;

// Where an op kind's cost stands in the file.
enum class Place { gpu, cpu, up, down };

Place place_of(OpKind kind) {
  switch (kind) {
    case OpKind::host_logits:
    case OpKind::select:
    case OpKind::pack_rows:
    case OpKind::pack_keys:
    case OpKind::host_attend:
      return Place::cpu;
    case OpKind::load_kv:
    case OpKind::send_scores:
    case OpKind::send_rows:
    case OpKind::send_keys:
    case OpKind::send_partial:
      return Place::up;
    case OpKind::offload_kv:
    case OpKind::send_query:
    case OpKind::send_choice:
    case OpKind::pool_row:
      return Place::down;
    default:
      return Place::gpu;
  }
}

// An op of some size took so long: bytes, or logits scanned.
struct Sample {
  double size = 0;
  double ns = 0;
};

struct Line {
  double fixed_ns = 0;
  double ns_per_unit = 0;  // 0: the size does not show
};

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Neither part below zero. Two sizes at least, a tenth apart; else all is fixed.
Line line_through(const std::vector<Sample>& samples) {
  const auto [least, most] = std::minmax_element(
      samples.begin(), samples.end(), [](const Sample& a, const Sample& b) { return a.size < b.size; });
  double aa = 0, ab = 0, bb = 0, a = 0, b = 0;  // of 1 / t and size / t
  for (const Sample& s : samples) {
    aa += 1 / (s.ns * s.ns);
    ab += s.size / (s.ns * s.ns);
    bb += s.size * s.size / (s.ns * s.ns);
    a += 1 / s.ns;
    b += s.size / s.ns;
  }
  if (most->size <= 1.1 * least->size) return {a / aa, 0};
  const double determinant = aa * bb - ab * ab;
  Line line = {(a * bb - b * ab) / determinant, (aa * b - ab * a) / determinant};
  if (line.fixed_ns < 0) line = {0, b / bb};
  if (line.ns_per_unit < 0) line = {a / aa, 0};
  return line;
}

Tokens context_of(const Measurement& figure) {
  return std::stoll(figure.condition);  // "32768 tokens, ..."
}

class DecodeFigures {
 public:
  explicit DecodeFigures(const std::vector<BenchResult>& results) {
    for (const BenchResult& result : results) {
      if (result.stage.rfind("decode-", 0) != 0) continue;
      source_ = "measured on " + result.card + ", " + result.date + ": decode steps, ";
      for (const Measurement& figure : result.figures) figures_.push_back(&figure);
    }
  }

  bool empty() const { return figures_.empty(); }
  std::string source(const std::string& system) const { return source_ + system + "; medians"; }

  std::vector<const Measurement*> all(const std::string& system, const std::string& quantity) const {
    std::vector<const Measurement*> found;
    for (const Measurement* figure : figures_) {
      if (figure->subject == system && figure->quantity == quantity) found.push_back(figure);
    }
    return found;
  }

  // The system whose figures of this kind count; empty: nobody times it.
  std::string system_with(OpKind kind) const {
    const std::string quantity = "time of " + std::string(name_of(kind));
    for (const char* system : kSystems) {
      if (!all(system, quantity).empty()) return system;
    }
    for (const Measurement* figure : figures_) {
      if (figure->quantity == quantity) return figure->subject;
    }
    return {};
  }

  std::vector<Sample> samples(const std::string& system, OpKind kind) const {
    const std::string name = name_of(kind);
    const auto times = all(system, "time of " + name);
    const auto bytes = all(system, "bytes of " + name);
    std::vector<Sample> list;
    for (std::size_t i = 0; i < std::min(times.size(), bytes.size()); ++i) {
      if (times[i]->value > 0) list.push_back({bytes[i]->value, times[i]->value * kNsPerUs});
    }
    return list;
  }

  std::vector<Sample> scans(const std::string& system, const DecodeScan& scan) const {
    std::vector<Sample> list;
    for (const Measurement* figure : all(system, "time of select")) {
      const auto items = static_cast<double>(scan.query_heads * (context_of(*figure) - scan.device_tokens));
      if (figure->value > 0 && items > 0) list.push_back({items, figure->value * kNsPerUs});
    }
    return list;
  }

 private:
  std::vector<const Measurement*> figures_;
  std::string source_;
};

PlatformDescription::Kernel& kernel_of(PlatformDescription::Processor& processor, OpKind kind) {
  for (PlatformDescription::Kernel& kernel : processor.kernels) {
    if (kernel.op == name_of(kind)) return kernel;
  }
  processor.kernels.emplace_back();
  processor.kernels.back().op = name_of(kind);
  return processor.kernels.back();
}

// What the file said of the rate of arithmetic, which stays.
std::string compute_part(const PlatformDescription::Kernel& kernel) {
  const std::size_t at = kernel.source.find("; compute: ");
  return kernel.compute_GFLOPs && at != std::string::npos ? kernel.source.substr(at) : "";
}

// An op that is faster than `channel_GBps` has no limit of its own: what is left of its time is fixed.
void set_by_bytes(PlatformDescription::Kernel& kernel, const std::vector<Sample>& samples,
                  double channel_GBps) {
  const Line line = line_through(samples);
  const double own_GBps = line.ns_per_unit > 0 ? 1 / line.ns_per_unit : HUGE_VAL;
  if (own_GBps < channel_GBps) {
    kernel.fixed_ns = four_digits(line.fixed_ns);
    kernel.bandwidth_GBps = four_digits(own_GBps);
    return;
  }
  std::vector<double> left;
  for (const Sample& s : samples) left.push_back(s.ns - s.size / channel_GBps);
  kernel.fixed_ns = four_digits(std::max(0.0, mean(left)));
  kernel.bandwidth_GBps.reset();
}

PlatformDescription::Channel& channel(PlatformDescription& card, const std::string& name) {
  return *std::find_if(card.channels.begin(), card.channels.end(),
                       [&](const auto& c) { return c.name == name; });
}

void raise_channel(PlatformDescription::Channel& channel, const std::vector<Sample>& samples,
                   const std::string& source) {
  const Line line = line_through(samples);
  if (line.ns_per_unit <= 0 || 1 / line.ns_per_unit <= channel.bandwidth_GBps) return;
  channel.bandwidth_GBps = four_digits(1 / line.ns_per_unit);
  channel.source = source;
}

void set_kernels(PlatformDescription& card, const DecodeFigures& figures, const DecodeScan& scan) {
  // Channels first: an op's own limit is told from the channel's.
  for (int i = 0; i < kOpKinds; ++i) {
    const auto kind = static_cast<OpKind>(i);
    const std::string system = figures.system_with(kind);
    const std::vector<Sample> samples = figures.samples(system, kind);
    if (samples.empty() || kind == OpKind::select) continue;
    if (place_of(kind) == Place::cpu)
      raise_channel(channel(card, "dram"), samples,
                    figures.source(system) + ", faster than the streaming read: " + name_of(kind));
  }
  for (int i = 0; i < kOpKinds; ++i) {
    const auto kind = static_cast<OpKind>(i);
    const std::string system = figures.system_with(kind);
    const Place place = place_of(kind);
    const std::vector<Sample> samples =
        kind == OpKind::select ? figures.scans(system, scan) : figures.samples(system, kind);
    if (samples.empty() || place == Place::up || place == Place::down) continue;
    PlatformDescription::Kernel& kernel = kernel_of(card.processors.at(place == Place::gpu ? 0 : 1), kind);
    kernel.source = figures.source(system) + compute_part(kernel);
    if (kind == OpKind::select) {
      const Line line = line_through(samples);
      kernel.fixed_ns = four_digits(line.fixed_ns);
      if (line.ns_per_unit > 0) kernel.scan_Gitems_per_s = four_digits(1 / line.ns_per_unit);
    } else {
      set_by_bytes(kernel, samples, channel(card, place == Place::gpu ? "hbm" : "dram").bandwidth_GBps);
    }
  }
}

void set_copies(PlatformDescription& card, const DecodeFigures& figures) {
  std::vector<Sample> up = figures.samples("flexgen", OpKind::load_kv);
  for (const Sample& s : figures.samples("hybridgen", OpKind::send_rows)) up.push_back(s);
  if (!up.empty()) {
    const Line line = line_through(up);
    const std::string source = figures.source("flexgen's load_kv and hybridgen's send_rows");
    raise_channel(channel(card, "h2d"), up, source);
    if (line.ns_per_unit > 0)
      card.h2d = {four_digits(line.fixed_ns), four_digits(1 / line.ns_per_unit), source};
  }
  std::vector<double> small;
  for (const OpKind kind : {OpKind::offload_kv, OpKind::send_query}) {
    for (const Sample& s : figures.samples("hybridgen", kind)) small.push_back(s.ns);
  }
  if (small.empty()) return;
  card.d2h.fixed_ns = four_digits(mean(small));
  card.d2h.source =
      "fixed: " + figures.source("hybridgen's offload_kv and send_query") + "; rate: " + card.d2h.source;
}

void set_gap(PlatformDescription& card, const DecodeFigures& figures) {
  std::vector<double> gaps;
  for (const char* system : {"full-gpu", "hybridgen"}) {
    const auto steps = figures.all(system, "step time");
    const auto between = figures.all(system, "time between steps");
    for (std::size_t i = 0; i < std::min(steps.size(), between.size()); ++i)
      gaps.push_back((between[i]->value - steps[i]->value) * 1e6);
  }
  if (gaps.empty()) return;
  card.step_gap_ns = four_digits(std::max(0.0, mean(gaps)));
  card.step_gap_source = figures.source("full-gpu and hybridgen") + " of what lies between two steps";
}

}  // namespace

PlatformDescription with_decode_costs(PlatformDescription card, const std::vector<BenchResult>& results,
                                      const DecodeScan& scan) {
  const DecodeFigures figures(results);
  if (figures.empty()) return card;
  set_kernels(card, figures, scan);
  set_copies(card, figures);
  set_gap(card, figures);
  return card;
}

}  // namespace hybridgen
