// Decode steps of a policy at a context that nobody prefilled: the policy decides as if the prompt lay there,
// so that long contexts are measured in seconds. Any executor of a real machine; its KV holds whatever it
// holds.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/machine/machine.hpp"
#include "core/machine/measurement.hpp"
#include "core/policy/policy.hpp"
#include "runtime/host/host_model.hpp"
#include "runtime/host/tokens.hpp"
#include "runtime/real_executor.hpp"

namespace hybridgen {

struct DecodeBench {
  std::string name;  // what the figures are of
  Composition composition;
  Params params;
  KvDtype kv_dtype = KvDtype::f16;
  Tokens context = 0;  // tokens that the first measured step finds, or a few more
  Tokens warm_up_steps = 3;
  Tokens steps = 16;
};

using MakeExecutor =
    std::function<std::unique_ptr<RealExecutor>(const MemoryPlan& plan, TokenFeed feed, Tokens new_tokens)>;

// Of the step: its time; the time between two steps' ends; how long each lane was busy; bytes over each
// channel; and the largest of the lanes' times, what a perfect overlap would take. All medians over the
// steps. Throws DoesNotFit where the policy's memory plan exceeds the machine.
std::vector<Measurement> measure_decode(const Machine& machine, const ModelShape& model,
                                        const DecodeBench& bench, const MakeExecutor& make_executor);

}  // namespace hybridgen
