// The real machine's executor: every lane is a pinned thread group, the host device plays the GPU with memory
// of its own, lanes join each other by flags, and the records are this machine's clock.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/machine/machine.hpp"
#include "core/residency/memory_plan.hpp"
#include "runtime/host/host_model.hpp"
#include "runtime/host/tokens.hpp"
#include "runtime/real_executor.hpp"

namespace hybridgen {

class HostExecutor final : public RealExecutor {
 public:
  // Takes all memory and starts the lanes' threads. machine must outlive the executor. NotAvailable when the
  // platform has a lane that this machine cannot play (a GPU), or when memory is refused.
  HostExecutor(const Machine& machine, std::shared_ptr<const HostModel> model, const MemoryPlan& plan,
               TokenFeed feed, Tokens new_tokens);
  ~HostExecutor() override;

  const Capabilities& capabilities() const override;
  void submit(std::shared_ptr<const Step> step) override;
  Report wait() override;

  const std::vector<std::int32_t>& tokens(RequestId request) const override;
  std::vector<std::string> warnings() const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hybridgen
