// A policy on the real executor, fed with a given text whatever it predicts, and then with its own answer:
// what quality is measured on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "cli/experiment_options.hpp"
#include "core/driver/driver.hpp"
#include "runtime/host/host_executor.hpp"

namespace hybridgen::cli {

class ForcedRun {
 public:
  // Prefills the first `from` ids, then feeds one after the other. The experiment gives platform, model and
  // KV type, and outlives the run; composition and params may be another policy's. answer_tokens: greedy ones
  // behind the ids. on_attention, where given, hears what choosing host rows did, on the device's lane.
  // DoesNotFit before memory is taken.
  ForcedRun(const LoadedExperiment& loaded, const Composition& composition, const Params& params,
            const std::shared_ptr<const HostModel>& model, const std::vector<std::int32_t>& ids, Tokens from,
            Tokens answer_tokens = 0, std::function<void(const AttentionSample&)> on_attention = {});

  // One step: the prompt, then a token. False when all ids are fed and the answer is whole.
  bool advance() { return driver_.advance(); }
  // What the model predicts after the last token that was fed.
  std::span<const float> logits() const { return logits_; }
  // All that were fed or answered so far.
  const std::vector<std::int32_t>& tokens() const { return executor_.tokens(RequestId(0)); }
  const Timeline& timeline() const { return driver_.timeline(); }
  const Policy& policy() const { return policy_; }

 private:
  TokenFeed feed(const std::vector<std::int32_t>& ids, Tokens from,
                 std::function<void(const AttentionSample&)> on_attention);

  WorkloadShape workload_;
  std::vector<float> logits_;
  Policy policy_;
  HostExecutor executor_;
  Driver driver_;
};

}  // namespace hybridgen::cli
