#include "cli/real_run.hpp"

#include <algorithm>

#include "cli/host_model_loader.hpp"
#include "cli/tokenizer.hpp"

namespace hybridgen::cli {

TokenFeed feed_of(const LoadedExperiment& loaded) {
  const Experiment& experiment = loaded.experiment;
  const std::vector<RequestEntry> requests = experiment.all_requests();
  std::int64_t tokens = 0;
  for (const RequestEntry& request : requests) {
    tokens = std::max(tokens, request.prompt_start + request.shape.prompt_tokens);
  }
  const std::vector<std::int32_t> ids =
      experiment.weights == WeightSource::dummy
          ? dummy_tokens(tokens, loaded.model.shape.vocab, static_cast<std::uint64_t>(experiment.seed))
          : read_prompt(experiment.prompt_file, loaded.model, tokens);
  TokenFeed feed;
  for (const RequestEntry& request : requests) {
    const auto first = ids.begin() + request.prompt_start;
    feed.prompts.emplace_back(first, first + request.shape.prompt_tokens);
  }
  feed.end_tokens = loaded.model.end_tokens;
  return feed;
}

std::shared_ptr<const HostModel> model_of(const LoadedExperiment& loaded, const MemorySource& source) {
  if (loaded.experiment.weights == WeightSource::files) return load_host_model(loaded.model, source);
  return dummy_host_model(loaded.model.shape, static_cast<std::uint64_t>(loaded.experiment.seed), source);
}

Policy policy_of(const LoadedExperiment& loaded) {
  const Experiment& experiment = loaded.experiment;
  return {experiment.composition,
          {loaded.platform.machine, loaded.model.shape, experiment.kv_dtype, experiment.params},
          experiment.workload()};
}

}  // namespace hybridgen::cli
