#include "cli/ablation_runs.hpp"

#include "cli/host_model_loader.hpp"
#include "cli/real_run.hpp"
#include "cli/simulated_world.hpp"
#include "core/base/error.hpp"
#include "core/driver/driver.hpp"
#include "formats/experiment_model.hpp"
#include "runtime/host/host_executor.hpp"
#include "runtime/host/tier_placement.hpp"
#include "study/ablation.hpp"
#include "study/fit_report.hpp"

namespace hybridgen::cli {
namespace {

std::string name_of(const LoadedExperiment& variant) {
  return variant.platform.machine.name() + ", " + variant.experiment.composition.preset;
}

// "hbm": the memories that lack room; empty where all fits.
std::string short_of(const LoadedExperiment& variant) {
  const FitReport report = fit_report(variant.experiment, variant.platform.machine, variant.model.shape);
  std::string names;
  for (const TierNeed& tier : report.tiers) {
    if (tier.needed > tier.capacity) names += (names.empty() ? "" : ", ") + tier.name;
  }
  return names.empty() ? "" : "does not fit: " + names;
}

Timeline simulate(const LoadedExperiment& variant, std::string& outcome_source) {
  const WorkloadShape workload = variant.experiment.workload();
  Policy policy = policy_of(variant);
  SimulatedWorld world(variant, "fluid");
  outcome_source = world.outcome_source();
  Driver driver(variant.platform.machine, variant.model.shape, workload, policy, world.executor());
  return driver.run();
}

Timeline run(const LoadedExperiment& variant, const std::shared_ptr<const HostModel>& model,
             const TokenFeed& feed) {
  const WorkloadShape workload = variant.experiment.workload();
  Policy policy = policy_of(variant);
  HostExecutor executor(variant.platform.machine, model, policy.memory_plan(), feed,
                        workload.most_new_tokens());
  Driver driver(variant.platform.machine, variant.model.shape, workload, policy, executor);
  return driver.run();
}

void require_comparable(const std::vector<LoadedExperiment>& variants) {
  const Experiment& first = variants.front().experiment;
  for (const LoadedExperiment& variant : variants) {
    const Experiment& other = variant.experiment;
    if (other.model != first.model || other.platform != first.platform || other.kv_dtype != first.kv_dtype) {
      throw BadInput(other.path +
                     ": a real ablation compares variants of one model, platform and kv_dtype; " +
                     first.path + " has others");
    }
    refuse_assumed_context(other);
    if (other.weights == WeightSource::files) require_weights(variant.model);
    require_fit(fit_report(other, variant.platform.machine, variant.model.shape));
    HostExecutor::check(variant.platform.machine, policy_of(variant).memory_plan(), Weights::to_come);
  }
}

AblationPoint placed(AblationPoint point, const LoadedExperiment& variant) {
  point.platform = variant.platform.machine.name();
  point.prompt_tokens = variant.experiment.prompt_tokens;
  return point;
}

}  // namespace

std::vector<AblationPoint> simulated_points(const std::vector<LoadedExperiment>& variants,
                                            std::string& outcome_source, Progress& progress) {
  std::vector<AblationPoint> points;
  for (const LoadedExperiment& variant : variants) {
    progress.show(name_of(variant));
    AblationPoint point;
    point.missing = short_of(variant);
    if (point.missing.empty()) {
      point = ablation_point(variant.platform.machine, {simulate(variant, outcome_source)});
    }
    points.push_back(placed(point, variant));
  }
  return points;
}

std::vector<AblationPoint> real_points(const std::vector<LoadedExperiment>& variants, int rounds,
                                       Progress& progress) {
  require_comparable(variants);
  const LoadedExperiment& first = variants.front();
  const TierId device = policy_of(first).memory_plan().device_tier;
  const auto model = model_of(first, source_of(first.platform.machine, device));
  std::vector<std::vector<Timeline>> runs(variants.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < variants.size(); ++i) {
      progress.show("round " + std::to_string(round + 1) + " of " + std::to_string(rounds) + ", " +
                    name_of(variants[i]));
      runs[i].push_back(run(variants[i], model, feed_of(variants[i])));
    }
  }
  std::vector<AblationPoint> points;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    points.push_back(placed(ablation_point(variants[i].platform.machine, runs[i]), variants[i]));
  }
  return points;
}

}  // namespace hybridgen::cli
