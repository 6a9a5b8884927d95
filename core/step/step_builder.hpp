// Makes a Step. Ids are dense and increasing, an op may depend only on earlier ones, and a lane's previous op
// is added as a dependency here and nowhere else: no cycle and no forgotten order can be written.
#pragma once

#include <initializer_list>
#include <vector>

#include "core/machine/machine.hpp"
#include "core/step/step.hpp"

namespace hybridgen {

class StepBuilder {
 public:
  StepBuilder(const Machine& machine, StepId id, Batch batch);

  // Fills in id, lane and dependencies of the op and appends it. Invalid ids among the dependencies are
  // skipped, so a caller may pass "the previous layer's op" without asking whether there was one.
  OpId add(Op op, std::initializer_list<OpId> dependencies);
  OpId add(Op op, const std::vector<OpId>& dependencies);

  // Declares what the next added op will make known.
  OutcomeId declare(OutcomeKind kind, RequestId request, int layer, std::int64_t least, std::int64_t bound);

  const Machine& machine() const { return machine_; }
  const Batch& batch() const { return step_.batch; }
  // The finished step; the builder is spent.
  Step take();

 private:
  OpId append(Op op, const OpId* dependencies, std::size_t count);
  void check_outcome_known(const Amount& amount, const Op& op) const;

  const Machine& machine_;
  Step step_;
  std::vector<OpId> last_of_lane_;
  OutcomeId declared_;  // waiting for its producer
};

}  // namespace hybridgen
