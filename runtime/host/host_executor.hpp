// The real machine's executor: every lane is a pinned thread group, the host device plays the GPU with memory
// of its own, lanes join each other by flags, and the records are this machine's clock.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/machine/machine.hpp"
#include "core/residency/memory_plan.hpp"
#include "runtime/host/host_model.hpp"
#include "runtime/host/request_buffers.hpp"
#include "runtime/host/tier_placement.hpp"
#include "runtime/host/tokens.hpp"
#include "runtime/real_executor.hpp"

namespace hybridgen {

class HostExecutor final : public RealExecutor {
 public:
  // Takes all memory and starts the lanes' threads. machine must outlive the executor. NotAvailable when the
  // platform has a lane or a memory that this machine lacks (a GPU, a NUMA node), or when memory is refused;
  // DoesNotFit when a node has no room.
  HostExecutor(const Machine& machine, std::shared_ptr<const HostModel> model, const MemoryPlan& plan,
               TokenFeed feed, Tokens new_tokens);
  ~HostExecutor() override;

  // What the constructor would refuse, said before weights are loaded: NotAvailable where this machine cannot
  // play the platform, DoesNotFit where a NUMA node has less than the plan wants of it.
  static void check(const Machine& machine, const MemoryPlan& plan, Weights weights);

  const Capabilities& capabilities() const override;
  void submit(std::shared_ptr<const Step> step) override;
  Report wait() override;

  const std::vector<std::int32_t>& tokens(RequestId request) const override;
  std::vector<std::string> warnings() const override;
  // Only between steps. Where a slot's K and V lie on this machine.
  const RequestBuffers& buffers(SlotId slot) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hybridgen
