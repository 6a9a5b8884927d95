#include <algorithm>
#include <chrono>
#include <map>
#include <sstream>

#include "runtime/calibrate/calibration.hpp"
#include "runtime/calibrate/probe_rig.hpp"
#include "runtime/calibrate/quiet.hpp"
#include "runtime/calibrate/rounds.hpp"
#include "runtime/calibrate/samples.hpp"
#include "runtime/calibrate/survey.hpp"
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

  // From the rounds that `use` says.
  void fit(const std::vector<bool>& use, Calibration& result) {
    use_ = use;
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
          OpKind::select_pages, OpKind::attend_pages, OpKind::keep_rows, OpKind::attend_kept,
          OpKind::row_logits, OpKind::fit_logits, OpKind::correct_scores, OpKind::attend_fetched}) {
      const std::string name = name_of(kind);
      const Line l = line(name + ".near", name + ".far", bytes);
      set(result, kind, {l.fixed_ns, per_second(l.ns_per_unit), 0, 0, 0}, name + ".far");
    }
    for (const OpKind kind : {OpKind::prefill_attend, OpKind::score_prompt, OpKind::partial_keys}) {
      const std::string name = name_of(kind);
      const Line l = line(name + ".near", name + ".far", flops);
      set(result, kind, {l.fixed_ns, 0, per_second(l.ns_per_unit), 0, 0}, name + ".far");
    }
    for (const OpKind kind : {OpKind::evict_row, OpKind::select, OpKind::partial_select}) {
      const std::string name = name_of(kind);
      const Line l = line(name + ".near", name + ".far", items);
      set(result, kind, {l.fixed_ns, 0, 0, per_second(l.ns_per_unit), 0}, name + ".far");
    }
    for (const OpKind kind : {OpKind::pack_rows, OpKind::pack_keys}) {
      const std::string name = name_of(kind);
      const Line pack = line(name + ".near", name + ".far", rows);
      set(result, kind, {pack.fixed_ns, 0, 0, 0, pack.ns_per_unit}, name + ".far");
    }
    for (const OpKind kind :
         {OpKind::norm_qkv, OpKind::project_out, OpKind::ffn, OpKind::lm_head, OpKind::predict_query}) {
      const std::string name = name_of(kind);
      KernelCost cost{dispatch, per_second((time(name) - dispatch) / bytes(size(name))), 0, 0, 0};
      if (kind != OpKind::lm_head && kind != OpKind::predict_query) {
        cost.flops_per_s = per_second((time(name + ".prefill") - dispatch) / flops(size(name + ".prefill")));
      }
      set(result, kind, cost, name);
    }
    set(result, OpKind::sample,
        {dispatch, 0, 0, per_second((time("sample") - dispatch) / items(size("sample"))), 0}, "sample");
    // Its size is the model's and never changes: one figure says it all.
    set(result, OpKind::join_partials, {time("join_partials"), 0, 0, 0, 0}, "join_partials");
    const Line up = line("load_kv.near", "load_kv.far", bytes);
    const Line down = line("offload_kv.near", "offload_kv.far", bytes);
    result.h2d = {up.fixed_ns, per_second(up.ns_per_unit)};
    result.d2h = {down.fixed_ns, per_second(down.ns_per_unit)};
    result.h2d_spread = spread("load_kv.far");
    result.d2h_spread = spread("offload_kv.far");
    for (const OpKind kind :
         {OpKind::load_kv, OpKind::offload_kv, OpKind::send_query, OpKind::send_scores, OpKind::send_rows,
          OpKind::send_partial, OpKind::send_keys, OpKind::send_choice, OpKind::pool_row}) {
      result.kernels[static_cast<std::size_t>(kind)].fixed_ns = dispatch;
    }
    result.step_gap_ns = rig_.step_gap_ns();
    result.measured.push_back({"executor", "an op that does nothing", "time of the op", "ns", dispatch,
                               spread("dispatch"), std::nullopt});
    result.measured.push_back({"executor", "one request, decoding", "from a step to the next", "ns",
                               result.step_gap_ns, 0, std::nullopt});
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
  double time(const std::string& name) const { return figure(name).value; }
  double spread(const std::string& name) const { return figure(name).spread; }
  Figure figure(const std::string& name) const { return figure_of(chosen(probes_.at(name).medians, use_)); }
  ProbeSize size(const std::string& name) const { return rig_.size_of(probes_.at(name).probe); }

  ProbeRig rig_;
  std::vector<bool> use_;
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
      {"score_prompt.near", {{OpKind::score_prompt, kNear, 0}, {}}},
      {"score_prompt.far", {{OpKind::score_prompt, 1024, 0}, {}}},
      {"keep_rows.near", {{OpKind::keep_rows, kNear, 0}, {}}},
      {"keep_rows.far", {{OpKind::keep_rows, kFar, 0}, {}}},
      {"evict_row.near", {{OpKind::evict_row, kNear, 0}, {}}},
      {"evict_row.far", {{OpKind::evict_row, kFar, 0}, {}}},
      {"attend_kept.near", {{OpKind::attend_kept, kNear, 0}, {}}},
      {"attend_kept.far", {{OpKind::attend_kept, kFar, 0}, {}}},
      {"predict_query", {{OpKind::predict_query, 1, 0}, {}}},
      {"pack_keys.near", {{OpKind::pack_keys, kFar, 16}, {}}},
      {"pack_keys.far", {{OpKind::pack_keys, kFar, 200}, {}}},
      {"row_logits.near", {{OpKind::row_logits, kFar, 16}, {}}},
      {"row_logits.far", {{OpKind::row_logits, kFar, 200}, {}}},
      {"fit_logits.near", {{OpKind::fit_logits, kNear, 0}, {}}},
      {"fit_logits.far", {{OpKind::fit_logits, kFar, 0}, {}}},
      {"correct_scores.near", {{OpKind::correct_scores, kFar, 16}, {}}},
      {"correct_scores.far", {{OpKind::correct_scores, kFar, 200}, {}}},
      {"partial_keys.near", {{OpKind::partial_keys, 1, 0}, {}}},
      {"partial_keys.far", {{OpKind::partial_keys, kNear, 0}, {}}},
      {"partial_select.near", {{OpKind::partial_select, kNear, 16}, {}}},
      {"partial_select.far", {{OpKind::partial_select, 1024, 200}, {}}},
      {"attend_fetched.near", {{OpKind::attend_fetched, kNear, 16}, {}}},
      {"attend_fetched.far", {{OpKind::attend_fetched, kNear, 200}, {}}},
  };
};

// The lanes, and on which nodes they lie.
void share_cores(Calibration& result) {
  result.cores = usable_cores();
  result.lanes.device_threads = std::max(1, result.cores / 2);
  result.lanes.host_threads = std::max(1, result.cores - result.lanes.device_threads);
  const bool named = result.topology.nodes.front().node >= 0;
  result.device_node = named ? node_of_core(0) : -1;
  result.host_node = named ? node_of_core(result.lanes.device_threads) : -1;
}

Figure stream_of(const std::vector<Measurement>& figures) {
  Figure best;
  for (const Measurement& m : figures) {  // the last one of the first node's own reads: by all of its cores
    if (m.subject != "bandwidth") break;
    if (m.quantity == "read") best = {m.value * 1e9, m.spread};
  }
  return best;
}

}  // namespace

Calibration calibrate(const ModelShape& shape, const CalibrateOptions& options) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  const auto report = [&](double done, const std::string& what) {
    if (options.progress) options.progress(done, what);
  };
  Calibration result;
  result.topology = read_topology();
  share_cores(result);
  report(0, "filling memory");
  Survey survey(result.topology);
  Calibrator calibrator(shape, result.lanes);
  QuietWatch watch;
  Rounds rounds;
  double patience = options.most_seconds / 3;
  // The first round warms up: pages, clocks, branch predictors.
  for (int round = 0;
       round <= options.rounds || (rounds.quiet() < options.rounds && seconds() < options.most_seconds);
       ++round) {
    const double done = std::min(rounds.quiet() / static_cast<double>(options.rounds), 0.95);
    if (round > 0) {
      patience -= watch.wait(patience, [&](double others) {
        std::ostringstream text;
        text << "waiting: others use " << static_cast<int>(others * 100) << " % of the processors";
        report(done, text.str());
      });
    }
    report(done, "probing, round " + std::to_string(round));
    watch.lap();
    calibrator.round();
    survey.round();
    rounds.add(watch.lap(), survey.control().back());
    if (seconds() > options.most_seconds && round >= 1) break;
  }
  const std::vector<bool> use = rounds.use();
  result.quiet = rounds.was_quiet();
  result.disturbance = rounds.disturbance();
  result.rounds = static_cast<int>(std::count(use.begin(), use.end(), true));
  result.measured = survey.figures(use);
  if (const std::string unsteady = unsteady_memory(result.measured); !unsteady.empty()) {
    result.quiet = false;
    result.disturbance += (result.disturbance.empty() ? "" : "; ") + unsteady;
  }
  result.stream_bytes_per_s = stream_of(result.measured);
  calibrator.fit(use, result);
  result.seconds = seconds();
  report(1, "done");
  return result;
}

}  // namespace hybridgen
