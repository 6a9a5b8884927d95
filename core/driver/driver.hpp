// The loop that drives a world: decide, build, check, submit, wait, apply, learn, record. It does not know
// which world it drives.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/driver/timeline.hpp"
#include "core/executor/executor.hpp"
#include "core/policy/policy.hpp"
#include "core/residency/residency.hpp"

namespace hybridgen {

class Driver {
 public:
  // All referenced objects outlive the driver. Throws DoesNotFit with the shortage per tier when the policy's
  // memory plan exceeds a capacity; nothing has started then.
  Driver(const Machine& machine, const ModelShape& model, const WorkloadShape& workload, Policy& policy,
         Executor& executor);

  // Takes these decisions instead of asking the policy (replay and forced validation).
  void force(std::vector<Decision> decisions) { forced_ = std::move(decisions); }

  // One step. False when nothing is left to do.
  bool advance();
  // Until nothing is left; on_step is called after each.
  const Timeline& run(const std::function<void(const StepEvent&)>& on_step = {});

  const Timeline& timeline() const { return timeline_; }
  const Residency& residency() const { return residency_; }
  const std::vector<RequestView>& requests() const { return requests_; }
  const Estimator& estimator() const { return estimator_; }

 private:
  Decision next_decision();
  void apply(const Decision& decision);
  void take_slot(const RequestDecision& row);
  void learn(const Step& step, const Report& report);
  void finish(const Step& step, const Decision& decision, const Report& report);
  void record(const Step& step, const Decision& decision, const Report& report);

  const Machine& machine_;
  Policy& policy_;
  Executor& executor_;
  int layers_;
  Residency residency_;
  Estimator estimator_;
  StepTimes times_;  // of the step before
  std::vector<RequestView> requests_;
  std::optional<std::vector<Decision>> forced_;
  std::int64_t steps_ = 0;
  Hash64 hash_;
  Timeline timeline_;
};

}  // namespace hybridgen
