// Runs single kinds of ops on the real executor, layer after layer as a step does, with other work between
// them so that each finds its data in memory and not in a cache.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/executor/executor.hpp"
#include "core/machine/machine.hpp"
#include "core/policy/model_ops.hpp"
#include "core/step/step_builder.hpp"
#include "runtime/calibrate/calibration.hpp"
#include "runtime/host/host_model.hpp"

namespace hybridgen {

// One point of one kind's cost: so many tokens, so many rows per head.
struct Probe {
  OpKind kind = OpKind::attend;
  Tokens tokens = 0;               // context, or rows copied; query tokens for the matrix products
  std::int64_t rows_per_head = 0;  // of the exchange ops
};

struct ProbeSize {
  Bytes bytes = 0;  // moved, as counted by the executor
  std::int64_t flops = 0;
  std::int64_t items = 0;
  std::int64_t rows = 0;  // gathered
};

class ProbeRig {
 public:
  // most_tokens: the largest context probed.
  ProbeRig(const ModelShape& shape, const LocalLanes& lanes, Tokens most_tokens);

  // Nanoseconds of the op in every layer, one sample each.
  std::vector<double> run(const Probe& probe);
  ProbeSize size_of(const Probe& probe) const;
  // Nanoseconds between steps, as the driver's loop sees it, over some decode steps.
  double step_gap_ns();

  static constexpr std::int64_t kMostRowsPerHead = 256;

 private:
  void fill_context();
  std::vector<Op> ops_of(const Probe& probe, int layer) const;
  std::vector<Op> kept_ops_of(const Probe& probe, int layer) const;
  std::vector<Op> partial_ops_of(const Probe& probe, int layer) const;
  RequestDecision row_of(const Probe& probe) const;
  Report submit(StepBuilder& builder);

  ModelShape shape_;
  Machine machine_;
  MemoryPlan plan_;
  Tokens most_tokens_;
  std::shared_ptr<const HostModel> model_;
  std::unique_ptr<Executor> executor_;
  ModelOps ops_;
  int steps_ = 0;
};

// The machine at hand as lanes and tiers, without costs: what the executor needs to run on it.
Machine bare_local_machine(const LocalLanes& lanes, Bytes memory);

}  // namespace hybridgen
