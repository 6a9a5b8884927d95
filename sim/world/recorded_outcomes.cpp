#include "sim/world/recorded_outcomes.hpp"

#include "core/base/error.hpp"

namespace hybridgen {

RecordedOutcomes::RecordedOutcomes(const Timeline& timeline) {
  for (const StepEvent& step : timeline.steps) {
    for (const OutcomeEvent& outcome : step.outcomes) {
      const Key key{step.decision.step, outcome.kind, outcome.request, outcome.layer};
      if (!counts_.emplace(key, outcome.count).second)
        throw BadInput("recorded outcomes: " + text(key) + " is recorded twice");
    }
  }
}

std::int64_t RecordedOutcomes::count(const Step& step, const Outcome& outcome) {
  const Key key{step.id, outcome.kind, outcome.request, outcome.layer};
  const auto found = counts_.find(key);
  if (found == counts_.end()) {
    throw BadInput("recorded outcomes: nothing recorded for " + text(key) +
                   "; record a run of the same experiment, or take seeded outcomes");
  }
  if (found->second < outcome.least || found->second > outcome.bound) {
    throw BadInput("recorded outcomes: " + std::to_string(found->second) + " for " + text(key) +
                   " lies outside this run's bounds, " + std::to_string(outcome.least) + " to " +
                   std::to_string(outcome.bound));
  }
  return found->second;
}

std::string RecordedOutcomes::text(const Key& key) {
  const auto& [step, kind, request, layer] = key;
  return "step " + std::to_string(step.value) + " " + name_of(kind) + " of request " +
         std::to_string(request.value) + " layer " + std::to_string(layer);
}

}  // namespace hybridgen
