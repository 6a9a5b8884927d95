// What a real run of an experiment is made of: its prompts, its weights, its policy.
#pragma once

#include <memory>

#include "cli/experiment_options.hpp"
#include "core/policy/policy.hpp"
#include "runtime/host/host_model.hpp"
#include "runtime/host/tier_memory.hpp"
#include "runtime/host/tokens.hpp"

namespace hybridgen::cli {

// The prompts of all requests: from the prompt file, or made up from the seed where the weights are.
TokenFeed feed_of(const LoadedExperiment& loaded);
// The model's weights, or made-up ones of its shape, in memory of `source`.
std::shared_ptr<const HostModel> model_of(const LoadedExperiment& loaded, const MemorySource& source);
// loaded outlives the policy.
Policy policy_of(const LoadedExperiment& loaded);

}  // namespace hybridgen::cli
