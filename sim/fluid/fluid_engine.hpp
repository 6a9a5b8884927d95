// The reference engine: a virtual clock, an event queue for fixed times and max-min sharing of the channels,
// and no library. The truth for tests; one instance per thread in sweeps.
#pragma once

#include "sim/fluid/max_min.hpp"
#include "sim/world/engine.hpp"

namespace hybridgen {

class FluidEngine final : public Engine {
 public:
  explicit FluidEngine(std::vector<double> channel_bytes_per_s);  // by channel id

  std::string name() const override { return "fluid"; }
  std::vector<OpSpan> run(const OpGraph& graph, const PlanOp& plan) override;

 private:
  MaxMin max_min_;
};

}  // namespace hybridgen
