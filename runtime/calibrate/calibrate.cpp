#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>

#include "runtime/calibrate/calibration.hpp"
#include "runtime/calibrate/probe_rig.hpp"
#include "runtime/calibrate/samples.hpp"
#include "runtime/calibrate/stream_read.hpp"
#include "runtime/host/cores.hpp"

namespace hybridgen {
namespace {

constexpr Tokens kNear = 256;  // the smaller of two contexts
constexpr Tokens kFar = 2048;  // and the larger
constexpr double kNsPerS = 1e9;

// A line through two points: fixed cost and nanoseconds per unit. Never negative: where the smaller point is
// slower than proportional, all of it is taken for growth.
struct Line {
  double fixed_ns = 0;
  double ns_per_unit = 0;
};

Line through(double x1, double t1, double x2, double t2) {
  const double slope = (t2 - t1) / (x2 - x1);
  const double fixed = t1 - slope * x1;
  if (slope <= 0) return {t2, 0};
  if (fixed < 0) return {0, t2 / x2};
  return {fixed, slope};
}

double per_second(double ns_per_unit) {
  return ns_per_unit > 0 ? kNsPerS / ns_per_unit : 0;
}

class Calibrator {
 public:
  Calibrator(const ModelShape& shape, const LocalLanes& lanes) : rig_(shape, lanes, kFar) {}

  void round() {
    for (auto& [name, entry] : probes_) {
      const std::vector<double> layers = rig_.run(entry.probe);
      entry.medians.push_back(figure_of(layers).value);
    }
  }

  void fit(Calibration& result) {
    const double dispatch = time("dispatch");
    const auto line = [&](const std::string& near, const std::string& far, auto unit) {
      return through(unit(size(near)), time(near), unit(size(far)), time(far));
    };
    const auto bytes = [](const ProbeSize& s) { return static_cast<double>(s.bytes); };
    const auto flops = [](const ProbeSize& s) { return static_cast<double>(s.flops); };
    const auto items = [](const ProbeSize& s) { return static_cast<double>(s.items); };
    const auto rows = [](const ProbeSize& s) { return static_cast<double>(s.rows); };

    for (const OpKind kind :
         {OpKind::attend, OpKind::host_logits, OpKind::device_logits, OpKind::joint_attend, OpKind::keep_kv,
          OpKind::embed, OpKind::host_attend, OpKind::device_partial, OpKind::page_bounds,
          OpKind::select_pages, OpKind::attend_pages}) {
      const std::string name = name_of(kind);
      const Line l = line(name + ".near", name + ".far", bytes);
      set(result, kind, {l.fixed_ns, per_second(l.ns_per_unit), 0, 0, 0}, name + ".far");
    }
    const Line prefill = line("prefill_attend.near", "prefill_attend.far", flops);
    set(result, OpKind::prefill_attend, {prefill.fixed_ns, 0, per_second(prefill.ns_per_unit), 0, 0},
        "prefill_attend.far");
    const Line select = line("select.near", "select.far", items);
    set(result, OpKind::select, {select.fixed_ns, 0, 0, per_second(select.ns_per_unit), 0}, "select.far");
    const Line pack = line("pack_rows.near", "pack_rows.far", rows);
    set(result, OpKind::pack_rows, {pack.fixed_ns, 0, 0, 0, pack.ns_per_unit}, "pack_rows.far");
    for (const OpKind kind : {OpKind::norm_qkv, OpKind::project_out, OpKind::ffn, OpKind::lm_head}) {
      const std::string name = name_of(kind);
      KernelCost cost{dispatch, per_second((time(name) - dispatch) / bytes(size(name))), 0, 0, 0};
      if (kind != OpKind::lm_head) {
        cost.flops_per_s = per_second((time(name + ".prefill") - dispatch) / flops(size(name + ".prefill")));
      }
      set(result, kind, cost, name);
    }
    set(result, OpKind::sample,
        {dispatch, 0, 0, per_second((time("sample") - dispatch) / items(size("sample"))), 0}, "sample");
    // Its size is the model's and never changes: one figure says it all.
    set(result, OpKind::join_partials, {time("join_partials"), 0, 0, 0, 0}, "join_partials");
    set_kin(result, OpKind::predict_query, OpKind::project_out);
    set_kin(result, OpKind::partial_keys, OpKind::page_bounds);
    set_kin(result, OpKind::partial_select, OpKind::device_logits);
    set_kin(result, OpKind::gather_kv, OpKind::pack_rows);
    set_kin(result, OpKind::attend_fetched, OpKind::attend);
    const Line up = line("load_kv.near", "load_kv.far", bytes);
    const Line down = line("offload_kv.near", "offload_kv.far", bytes);
    result.h2d = {up.fixed_ns, per_second(up.ns_per_unit)};
    result.d2h = {down.fixed_ns, per_second(down.ns_per_unit)};
    result.h2d_spread = spread("load_kv.far");
    result.d2h_spread = spread("offload_kv.far");
    for (const OpKind kind :
         {OpKind::load_kv, OpKind::offload_kv, OpKind::send_query, OpKind::send_scores, OpKind::send_rows,
          OpKind::send_partial, OpKind::send_choice, OpKind::pool_row, OpKind::send_kv}) {
      result.kernels[static_cast<std::size_t>(kind)].fixed_ns = dispatch;
    }
    result.step_gap_ns = rig_.step_gap_ns();
  }

 private:
  struct Entry {
    Probe probe;
    std::vector<double> medians;
  };

  static void set(Calibration& result, OpKind kind, const KernelCost& cost, double spread) {
    result.kernels[static_cast<std::size_t>(kind)] = cost;
    result.spread[static_cast<std::size_t>(kind)] = spread;
  }
  void set(Calibration& result, OpKind kind, const KernelCost& cost, const std::string& name) const {
    set(result, kind, cost, spread(name));
  }
  // A kind that is not probed runs the loops of one that is; counting and choosing rows is a selection's.
  static void set_kin(Calibration& result, OpKind kind, OpKind like) {
    KernelCost cost = result.kernels[static_cast<std::size_t>(like)];
    if (kind == OpKind::partial_select) {
      cost.items_per_s = result.kernels[static_cast<std::size_t>(OpKind::select)].items_per_s;
    }
    set(result, kind, cost, result.spread[static_cast<std::size_t>(like)]);
  }
  double time(const std::string& name) const { return figure_of(probes_.at(name).medians).value; }
  double spread(const std::string& name) const { return figure_of(probes_.at(name).medians).spread; }
  ProbeSize size(const std::string& name) const { return rig_.size_of(probes_.at(name).probe); }

  ProbeRig rig_;
  std::map<std::string, Entry> probes_ = {
      {"dispatch", {{OpKind::device_logits, 0, 0}, {}}},
      {"attend.near", {{OpKind::attend, kNear, 0}, {}}},
      {"attend.far", {{OpKind::attend, kFar, 0}, {}}},
      {"prefill_attend.near", {{OpKind::prefill_attend, kNear, 0}, {}}},
      {"prefill_attend.far", {{OpKind::prefill_attend, 1024, 0}, {}}},
      {"host_logits.near", {{OpKind::host_logits, kNear, 0}, {}}},
      {"host_logits.far", {{OpKind::host_logits, kFar, 0}, {}}},
      {"select.near", {{OpKind::select, kNear, kNear / 20}, {}}},
      {"select.far", {{OpKind::select, kFar, kFar / 20}, {}}},
      {"pack_rows.near", {{OpKind::pack_rows, kFar, 16}, {}}},
      {"pack_rows.far", {{OpKind::pack_rows, kFar, 200}, {}}},
      {"device_logits.near", {{OpKind::device_logits, kNear, 0}, {}}},
      {"device_logits.far", {{OpKind::device_logits, kFar, 0}, {}}},
      {"joint_attend.near", {{OpKind::joint_attend, kNear, 16}, {}}},
      {"joint_attend.far", {{OpKind::joint_attend, kFar, 100}, {}}},
      {"keep_kv.near", {{OpKind::keep_kv, kNear, 0}, {}}},
      {"keep_kv.far", {{OpKind::keep_kv, kFar, 0}, {}}},
      {"load_kv.near", {{OpKind::load_kv, 8, 0}, {}}},
      {"load_kv.far", {{OpKind::load_kv, kFar, 0}, {}}},
      {"offload_kv.near", {{OpKind::offload_kv, 1, 0}, {}}},
      {"offload_kv.far", {{OpKind::offload_kv, 1024, 0}, {}}},
      {"embed.near", {{OpKind::embed, 1, 0}, {}}},
      {"embed.far", {{OpKind::embed, kNear, 0}, {}}},
      {"norm_qkv", {{OpKind::norm_qkv, 1, 0}, {}}},
      {"norm_qkv.prefill", {{OpKind::norm_qkv, kNear, 0}, {}}},
      {"project_out", {{OpKind::project_out, 1, 0}, {}}},
      {"project_out.prefill", {{OpKind::project_out, kNear, 0}, {}}},
      {"ffn", {{OpKind::ffn, 1, 0}, {}}},
      {"ffn.prefill", {{OpKind::ffn, kNear, 0}, {}}},
      {"lm_head", {{OpKind::lm_head, 1, 0}, {}}},
      {"sample", {{OpKind::sample, 1, 0}, {}}},
      {"host_attend.near", {{OpKind::host_attend, kNear, 0}, {}}},
      {"host_attend.far", {{OpKind::host_attend, kFar, 0}, {}}},
      {"device_partial.near", {{OpKind::device_partial, kNear, 0}, {}}},
      {"device_partial.far", {{OpKind::device_partial, kFar, 0}, {}}},
      {"join_partials", {{OpKind::join_partials, 1, 0}, {}}},
      {"page_bounds.near", {{OpKind::page_bounds, 1, 0}, {}}},
      {"page_bounds.far", {{OpKind::page_bounds, kNear, 0}, {}}},
      {"select_pages.near", {{OpKind::select_pages, kNear, 64}, {}}},
      {"select_pages.far", {{OpKind::select_pages, kFar, 512}, {}}},
      {"attend_pages.near", {{OpKind::attend_pages, kFar, 64}, {}}},
      {"attend_pages.far", {{OpKind::attend_pages, kFar, 1024}, {}}},
  };
};

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

}  // namespace

Calibration calibrate(const ModelShape& shape, const CalibrateOptions& options) {
  const auto report = [&](double done, const std::string& what) {
    if (options.progress) options.progress(done, what);
  };
  Calibration result;
  result.processor_name = processor_name();
  result.cores = usable_cores();
  result.memory = usable_memory();
  result.lanes.device_threads = std::max(1, result.cores / 2);
  result.lanes.host_threads = std::max(1, result.cores - result.lanes.device_threads);
  report(0, "streaming read");
  result.stream_bytes_per_s = stream_read(result.lanes.device_threads + result.lanes.host_threads, 7);
  report(0.1, "filling a context");
  Calibrator calibrator(shape, result.lanes);
  calibrator.round();  // warm-up: pages, clocks, branch predictors; its samples stay, the median forgets them
  for (int round = 0; round < options.rounds; ++round) {
    calibrator.round();
    report(0.2 + 0.7 * (round + 1) / options.rounds, "probing kernels and copies");
  }
  calibrator.fit(result);
  report(1, "done");
  return result;
}

}  // namespace hybridgen
