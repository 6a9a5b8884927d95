// An executor over a simulated world: it resolves outcomes and sizes, and leaves time to an engine.
#pragma once

#include <deque>
#include <memory>

#include "core/executor/executor.hpp"
#include "core/machine/machine.hpp"
#include "sim/world/duration_model.hpp"
#include "sim/world/engine.hpp"
#include "sim/world/outcome_source.hpp"

namespace hybridgen {

class SimulatedExecutor : public Executor {
 public:
  // The machine outlives the executor.
  SimulatedExecutor(const Machine& machine, std::unique_ptr<Engine> engine,
                    std::unique_ptr<DurationModel> durations, std::unique_ptr<OutcomeSource> outcomes);

  const Capabilities& capabilities() const override { return capabilities_; }
  void submit(std::shared_ptr<const Step> step) override;
  // Simulates the oldest step. What the duration model or the outcome source throws comes out.
  Report wait() override;

  const OutcomeSource& outcomes() const { return *outcomes_; }

 private:
  OpPlan take_up(const Step& step, const Op& op, std::vector<std::int64_t>& counts);
  void add_traffic(const Step& step, Report& report) const;

  const Machine& machine_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<DurationModel> durations_;
  std::unique_ptr<OutcomeSource> outcomes_;
  Capabilities capabilities_;
  std::deque<std::shared_ptr<const Step>> submitted_;
  double now_ns_ = 0;  // end of the last step, unrounded
};

}  // namespace hybridgen
