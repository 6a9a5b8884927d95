#include "sim/world/recorded_run.hpp"

#include "core/base/error.hpp"

namespace hybridgen {

RecordedRun recorded_run(const std::string& name, const Policy& policy, const ModelShape& model,
                         const Timeline& timeline) {
  RecordedRun run;
  run.name = name;
  for (const StepEvent& event : timeline.steps) {
    const Step step = policy.build(event.decision);
    const auto fail = [&] {
      throw BadInput(name + ": the outcomes of step " + std::to_string(event.decision.step.value) +
                     " are not those of the steps that this program builds; record the run anew");
    };
    if (step.outcomes.size() != event.outcomes.size()) fail();
    for (std::size_t i = 0; i < step.outcomes.size(); ++i) {
      const Outcome& planned = step.outcomes[i];
      const OutcomeEvent& found = event.outcomes[i];
      const bool same = planned.kind == found.kind && planned.request == found.request &&
                        planned.layer == found.layer && planned.bound == found.bound &&
                        planned.least <= found.count && found.count <= planned.bound;
      if (!same) fail();
      if (planned.kind == OutcomeKind::end_of_sequence) {
        ++run.may_end;
        run.ended += found.count;
      } else {
        run.selections.push_back({selection_of(step, planned, model), planned.request, step.id.value,
                                  planned.least, planned.bound, found.count});
      }
    }
  }
  return run;
}

}  // namespace hybridgen
