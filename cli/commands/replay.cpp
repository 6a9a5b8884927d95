// hybridgen replay: a recorded run once more in the simulated world, with its own decisions, outcomes and
// durations.
#include <iostream>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/simulated_world.hpp"
#include "core/base/error.hpp"
#include "formats/experiment_model.hpp"
#include "sim/world/recorded_outcomes.hpp"
#include "sim/world/replay_durations.hpp"
#include "study/replay.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen replay DIR: carry a recorded run out again in the simulated world.\n\n"
    "Decisions, outcomes and durations are the recorded ones, so the timeline must come out equal to the "
    "nanosecond;\n"
    "else the record is damaged, or this program plans other steps than the one that recorded it. Prints "
    "that the\n"
    "timeline is equal (status 0) or the first difference (status 1).\n\n"
    "  hybridgen replay traces/smollm2-hybridgen-threshold\n"
    "  hybridgen replay results/real --engine simgrid\n";

// The first difference; a plan that cannot even follow the record is one.
std::string difference_of(const StoredResult& recorded, const std::string& engine) {
  const ModelShape model = find_model_for(recorded.experiment).shape;
  if (recorded.decision_hash != recorded.timeline.decision_hash)
    return "decision hash: the decisions have " + recorded.timeline.decision_hash + ", the manifest says " +
           recorded.decision_hash;
  const Timeline& timeline = recorded.timeline;
  try {
    const auto executor = simulated_executor(engine, recorded.platform.machine,
                                             std::make_unique<ReplayDurations>(timeline, ReplayCheck::bytes),
                                             std::make_unique<RecordedOutcomes>(timeline));
    return timeline_difference(timeline, replay(recorded, model, *executor));
  } catch (const BadInput& refusal) {
    return refusal.what();
  } catch (const InternalError& impossible) {  // decisions that no policy takes: the record's fault, not ours
    return impossible.what();
  }
}

}  // namespace

int replay_command(const std::vector<std::string>& arguments) {
  std::string folder;
  std::string engine = "fluid";
  boost::program_options::options_description description("options");
  description.add_options()("engine", boost::program_options::value(&engine)->default_value("fluid"),
                            "fluid or simgrid");
  if (!parse(arguments, kUsage, description, {{"DIR", &folder}})) return 0;
  check_engine(engine);
  const StoredResult recorded = read_result(folder);
  const std::string difference = difference_of(recorded, engine);
  if (!difference.empty()) throw UserError(ExitCode::failed, folder + ": timeline differs: " + difference);
  std::size_t ops = 0;
  for (const StepEvent& step : recorded.timeline.steps) ops += step.ops.size();
  std::cout << folder << ": timeline equal, " << recorded.timeline.steps.size() << " steps and " << ops
            << " ops to the nanosecond; decision hash " << recorded.timeline.decision_hash << "\n";
  return 0;
}

}  // namespace hybridgen::cli
