#include "cli/forced_run.hpp"

#include "cli/host_model_loader.hpp"
#include "core/residency/fits.hpp"

namespace hybridgen::cli {

ForcedRun::ForcedRun(const LoadedExperiment& loaded, const Composition& composition, const Params& params,
                     const std::shared_ptr<const HostModel>& model, const std::vector<std::int32_t>& ids,
                     Tokens from, Tokens answer_tokens,
                     std::function<void(const AttentionSample&)> on_attention)
    : workload_{1, from, static_cast<Tokens>(ids.size()) - from + answer_tokens, false},
      policy_(composition, {loaded.platform.machine, loaded.model.shape, loaded.experiment.kv_dtype, params},
              workload_),
      executor_((check_fits(loaded.platform.machine, policy_.memory_plan()),
                 require_skew(policy_.memory_plan(), *model, loaded.model), loaded.platform.machine),
                model, policy_.memory_plan(), feed(ids, from, std::move(on_attention)),
                workload_.most_new_tokens()),
      driver_(loaded.platform.machine, loaded.model.shape, workload_, policy_, executor_) {}

TokenFeed ForcedRun::feed(const std::vector<std::int32_t>& ids, Tokens from,
                          std::function<void(const AttentionSample&)> on_attention) {
  TokenFeed feed;
  feed.on_attention = std::move(on_attention);
  feed.attention_every = 8;  // enough for means, and a run stays about as long as without
  feed.prompts.emplace_back(ids.begin(), ids.begin() + from);
  feed.forced.emplace_back(ids.begin() + from, ids.end());
  feed.on_logits = [this](RequestId, Tokens, std::span<const float> logits) {
    logits_.assign(logits.begin(), logits.end());
  };
  return feed;
}

}  // namespace hybridgen::cli
