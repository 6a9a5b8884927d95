// The engine over SimGrid 3.32: channels are links, an op's fixed time is an execution on a private host, a
// flow is a communication whose route is a private link (its rate cap) and the flow's channels. SimGrid
// allows one engine at a time in a process, and its clock goes on from one to the next: a second engine while
// one lives is our bug; runs count from the clock they find.
#pragma once

#include <memory>

#include "sim/world/engine.hpp"

namespace hybridgen {

struct SimGridPlatform {
  std::vector<double> channel_bytes_per_s;  // by channel id
  std::vector<ChannelPath> paths;           // every path that a flow will take
  int most_legs = 0;                        // flows and fixed times that are ever in progress together
};

class SimGridEngine final : public Engine {
 public:
  explicit SimGridEngine(const SimGridPlatform& platform);
  ~SimGridEngine() override;

  std::string name() const override { return "simgrid"; }
  std::vector<OpSpan> run(const OpGraph& graph, const PlanOp& plan) override;

 private:
  class World;
  std::unique_ptr<World> world_;
};

}  // namespace hybridgen
