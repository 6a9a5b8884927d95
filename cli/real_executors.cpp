#include "cli/real_executors.hpp"

#include "core/base/error.hpp"
#include "formats/yaml_reader.hpp"
#include "runtime/cuda/cuda_available.hpp"
#include "runtime/cuda/cuda_executor.hpp"
#include "runtime/host/host_executor.hpp"

namespace hybridgen::cli {

std::vector<ExecutorEntry> real_executors() {
  const CudaStatus cuda = cuda_available();
  return {{"host", true, "pinned threads; a thread group with memory of its own plays the device"},
          {"cuda", cuda.available, cuda.text}};
}

void check_executor(const std::string& name) {
  std::vector<std::string> names;
  for (const ExecutorEntry& entry : real_executors()) {
    names.push_back(entry.name);
    if (entry.name != name) continue;
    if (!entry.available) throw NotAvailable("executor " + name + ": " + entry.text);
    return;
  }
  throw BadInput("--executor " + name + ": unknown; " + name_remedy(name, names));
}

void check_plays(const std::string& name, const Machine& machine, const MemoryPlan& plan) {
  if (name == "host") HostExecutor::check(machine, plan, Weights::to_come);
}

std::unique_ptr<RealExecutor> make_executor(const std::string& name, const Machine& machine,
                                            std::shared_ptr<const HostModel> model, const MemoryPlan& plan,
                                            TokenFeed feed, Tokens new_tokens) {
  if (name == "cuda") {
    return make_cuda_executor(machine, std::move(model), plan, std::move(feed), new_tokens);
  }
  return std::make_unique<HostExecutor>(machine, std::move(model), plan, std::move(feed), new_tokens);
}

}  // namespace hybridgen::cli
