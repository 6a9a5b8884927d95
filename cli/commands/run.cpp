// hybridgen run: the experiment on this machine.
#include <algorithm>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/finish_run.hpp"
#include "cli/host_model_loader.hpp"
#include "cli/progress.hpp"
#include "cli/real_executors.hpp"
#include "cli/real_run.hpp"
#include "cli/tokenizer.hpp"
#include "core/driver/driver.hpp"
#include "formats/experiment_model.hpp"
#include "formats/sha256.hpp"
#include "runtime/host/tier_placement.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen run EXPERIMENT.yaml: run an experiment on this machine, on a real model.\n\n"
    "The platform must be one this machine can play: `hybridgen calibrate` writes it. Where there is no GPU, "
    "a pinned\n"
    "thread group with memory of its own plays the device, and copies are real copies. `hybridgen list "
    "executors` says\nwhat this machine has.\n\n"
    "  hybridgen run configs/demo/hybridgen.yaml --out results/real\n"
    "  hybridgen run configs/demo/hybridgen.yaml --set workload.prompt_tokens=4096 --set repeat=1\n"
    "  hybridgen run configs/demo/hybridgen.yaml --set weights=dummy    # made-up weights and prompt: times "
    "only\n";

// What was generated, as text; a note where that cannot be.
void add_text(const LoadedExperiment& loaded, const std::vector<std::int32_t>& generated,
              ResultHeader& header) {
  if (loaded.experiment.weights == WeightSource::dummy) {
    header.notes.push_back("weights and prompt were made up from seed " +
                           std::to_string(loaded.experiment.seed) +
                           ": times and bytes mean something, tokens do not");
  } else if (!has_tokenizer(loaded.model.folder)) {
    header.notes.push_back(loaded.model.folder +
                           " has no tokenizer.json: the generated tokens stay without text");
  } else {
    header.generated_text = decode_text(generated, loaded.model.folder);
  }
}

}  // namespace

int run_command(const std::vector<std::string>& arguments) {
  ExperimentOptions options;
  boost::program_options::options_description description("options");
  options.add_to(description);
  std::string executor_name = "host";
  description.add_options()("executor", boost::program_options::value(&executor_name),
                            "host (the default) or cuda");
  if (!parse(arguments, kUsage, description, {{"EXPERIMENT.yaml", &options.file}})) return 0;
  check_executor(executor_name);
  const LoadedExperiment loaded = load(options);
  if (!options.out.empty()) check_out_folder(options.out, options.force);
  const Experiment& experiment = loaded.experiment;
  refuse_assumed_context(experiment);
  const Machine& machine = loaded.platform.machine;
  const WorkloadShape workload = experiment.workload();
  if (experiment.weights == WeightSource::files) require_weights(loaded.model);
  if (checked_only(options, loaded)) return 0;
  const Policy planned = policy_of(loaded);
  const MemoryPlan& plan = planned.memory_plan();
  check_plays(executor_name, machine, plan);
  if (experiment.weights == WeightSource::files) require_skew(plan, loaded.model);
  const TokenFeed feed = feed_of(loaded);
  const std::shared_ptr<const HostModel> model = model_of(loaded, source_of(machine, plan.device_tier));

  ResultHeader header;
  header.executor = executor_name;
  header.outcome_source = "kernels";
  header.notes = planned.notes();
  std::vector<Timeline> timelines;
  std::vector<std::int32_t> generated;
  Progress progress(experiment.composition.preset);
  for (int repeat = 0; repeat < experiment.repeat; ++repeat) {
    Policy policy = policy_of(loaded);
    const std::unique_ptr<RealExecutor> executor =
        make_executor(executor_name, machine, model, plan, feed, workload.most_new_tokens());
    Driver driver(machine, loaded.model.shape, workload, policy, *executor);
    timelines.push_back(driver.run([&](const StepEvent& step) {
      progress.show("run " + std::to_string(repeat + 1) + " of " + std::to_string(experiment.repeat) +
                    ", step " + std::to_string(step.decision.step.value + 1));
    }));
    generated.clear();
    for (std::size_t i = 0; i < workload.requests.size(); ++i) {
      const auto& tokens = executor->tokens(RequestId(static_cast<std::int64_t>(i)));
      generated.insert(generated.end(), tokens.begin() + workload.requests[i].prompt_tokens, tokens.end());
    }
    for (const std::string& warning : executor->warnings()) {
      header.notes.push_back("run " + std::to_string(repeat + 1) + ": " + warning);
    }
  }
  progress.clear();
  header.generated_ids_sha256 = sha256_of_ids(generated);
  add_text(loaded, generated, header);
  finish_run(options, loaded, header, timelines);
  return 0;
}

}  // namespace hybridgen::cli
