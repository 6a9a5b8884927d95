#include "study/fit_report.hpp"

#include <algorithm>
#include <functional>

#include "core/base/error.hpp"
#include "core/policy/policy.hpp"
#include "core/residency/fits.hpp"

namespace hybridgen {
namespace {

// Plans an experiment, changed or not; nothing is built and nothing started.
class Planner {
 public:
  Planner(const Machine& machine, const ModelShape& model) : machine_(machine), model_(model) {}

  MemoryPlan plan(const Experiment& experiment) const {
    return Policy(experiment.composition, {machine_, model_, experiment.kv_dtype, experiment.params},
                  experiment.workload())
        .memory_plan();
  }

  bool fits(const Experiment& experiment) const {
    try {
      const MemoryPlan planned = plan(experiment);
      return std::all_of(machine_.tiers().begin(), machine_.tiers().end(), [&](const Tier& tier) {
        return bytes_in(machine_, planned, tier.id) <= tier.capacity;
      });
    } catch (const BadInput&) {
      return false;  // a part that this platform cannot have
    }
  }

 private:
  const Machine& machine_;
  const ModelShape& model_;
};

using Change = std::function<void(Experiment&, std::int64_t)>;

// The largest value below `now` with which the experiment fits; 0 where none does. Need grows with it.
std::int64_t largest_below(std::int64_t now, const Planner& planner, const Experiment& experiment,
                           const Change& change) {
  std::int64_t fits = 0;
  std::int64_t fails = now;
  while (fails - fits > 1) {
    const std::int64_t middle = fits + (fails - fits) / 2;
    Experiment changed = experiment;
    change(changed, middle);
    (planner.fits(changed) ? fits : fails) = middle;
  }
  return fits;
}

class WhatWouldFit {
 public:
  WhatWouldFit(const Experiment& experiment, const Planner& planner)
      : experiment_(experiment), planner_(planner) {}

  std::vector<std::string> list() {
    smaller("workload.batch", experiment_.batch, [](Experiment& e, std::int64_t n) { e.batch = int(n); });
    smaller("workload.prompt_tokens", experiment_.prompt_tokens,
            [](Experiment& e, std::int64_t n) { e.prompt_tokens = n; });
    for (const ParamSpec& spec : params_of(experiment_.composition)) {
      if (spec.kind != ParamKind::tokens) continue;
      smaller("policy." + spec.name, experiment_.params.get(spec.name),
              [&](Experiment& e, std::int64_t n) { e.params.set(spec.name, n); });
    }
    for (const KvDtype narrower : {KvDtype::f16, KvDtype::int8}) {
      constexpr Bytes kChannels = 64;  // any
      if (row_bytes(narrower, kChannels) >= row_bytes(experiment_.kv_dtype, kChannels)) continue;
      Experiment changed = experiment_;
      changed.kv_dtype = narrower;
      if (planner_.fits(changed)) found_.push_back(std::string("policy.kv_dtype: ") + name_of(narrower));
    }
    placements();
    presets();
    if (found_.empty()) smallest();
    return std::move(found_);
  }

 private:
  void smaller(const std::string& key, std::int64_t now, const Change& change) {
    const std::int64_t value = largest_below(now, planner_, experiment_, change);
    if (value > 0) found_.push_back(key + ": " + std::to_string(value));
  }

  void placements() {
    if (experiment_.composition.placement.empty()) return;
    for (const PartEntry& part : part_registry()) {
      if (std::string(part.slot()) != "placement" || part.name == experiment_.composition.placement) continue;
      Experiment changed = experiment_;
      changed.composition.placement = part.name;
      if (planner_.fits(changed)) found_.push_back("policy.placement: " + part.name);
    }
  }

  // Those whose parameters the experiment gives or that have defaults.
  void presets() {
    for (const PresetEntry& preset : preset_registry()) {
      if (preset.name == experiment_.composition.preset) continue;
      Experiment changed = experiment_;
      changed.composition = preset.composition;
      bool known = true;
      for (const ParamSpec& spec : params_of(preset.composition)) {
        if (changed.params.has(spec.name)) continue;
        known = known && spec.otherwise.has_value();
        changed.params.set(spec.name, spec.otherwise.value_or(spec.least));
      }
      if (known && planner_.fits(changed)) found_.push_back("policy.preset: " + preset.name);
    }
  }

  // No change alone will do: one request, with how much context?
  void smallest() {
    Experiment one = experiment_;
    one.batch = 1;
    const std::int64_t prompt = largest_below(one.prompt_tokens, planner_, one,
                                              [](Experiment& e, std::int64_t n) { e.prompt_tokens = n; });
    if (prompt > 0) {
      found_.push_back("workload.batch: 1 with workload.prompt_tokens: " + std::to_string(prompt));
    }
  }

  const Experiment& experiment_;
  const Planner& planner_;
  std::vector<std::string> found_;
};

}  // namespace

bool FitReport::fits() const {
  return std::all_of(tiers.begin(), tiers.end(),
                     [](const TierNeed& tier) { return tier.needed <= tier.capacity; });
}

FitReport fit_report(const Experiment& experiment, const Machine& machine, const ModelShape& model) {
  const Planner planner(machine, model);
  const MemoryPlan plan = planner.plan(experiment);
  FitReport report;
  report.platform = machine.name();
  for (const Tier& tier : machine.tiers()) {
    TierNeed need{tier.name, tier.emulated, tier.capacity, bytes_in(machine, plan, tier.id), {}};
    std::copy_if(plan.reservations.begin(), plan.reservations.end(), std::back_inserter(need.parts),
                 [&](const Reservation& r) { return r.tier == tier.id; });
    report.tiers.push_back(std::move(need));
  }
  if (!report.fits()) report.what_would_fit = WhatWouldFit(experiment, planner).list();
  return report;
}

void require_fit(const FitReport& report) {
  if (!report.fits()) throw DoesNotFit(to_text(report));
}

}  // namespace hybridgen
