// The executors of real machines that this program has, and why one is not there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/machine/machine.hpp"
#include "core/residency/memory_plan.hpp"
#include "runtime/host/host_model.hpp"
#include "runtime/host/tokens.hpp"
#include "runtime/real_executor.hpp"

namespace hybridgen::cli {

struct ExecutorEntry {
  std::string name;
  bool available = false;
  std::string text;  // what it is, or what is missing
};
std::vector<ExecutorEntry> real_executors();

// BadInput for a name that is not in the list; NotAvailable with the reason. Asked before anything is loaded.
void check_executor(const std::string& name);
// name: checked. What its executor would refuse of platform and plan, before weights are loaded.
void check_plays(const std::string& name, const Machine& machine, const MemoryPlan& plan);
std::unique_ptr<RealExecutor> make_executor(const std::string& name, const Machine& machine,
                                            std::shared_ptr<const HostModel> model, const MemoryPlan& plan,
                                            TokenFeed feed, Tokens new_tokens);

}  // namespace hybridgen::cli
