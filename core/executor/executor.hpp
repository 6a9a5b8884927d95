// The port through which the core drives a world: simulated (fluid, simgrid) or real (host, cuda).
#pragma once

#include <array>
#include <memory>
#include <string>

#include "core/executor/report.hpp"
#include "core/machine/op_kind.hpp"
#include "core/step/step.hpp"

namespace hybridgen {

// Asked by the step check, never by a policy.
struct Capabilities {
  std::string executor;                // "fluid", "simgrid", "host", "cuda"
  std::array<bool, kOpKinds> kinds{};  // which ops it carries out
};

class Executor {
 public:
  virtual ~Executor() = default;
  virtual const Capabilities& capabilities() const = 0;
  // Never blocks. Steps run one after the other, in the order of submission.
  virtual void submit(std::shared_ptr<const Step> step) = 0;
  // Blocks, or advances simulated time, to the end of the oldest step that was submitted and not yet
  // reported. Without one it is our bug.
  virtual Report wait() = 0;
};

}  // namespace hybridgen
