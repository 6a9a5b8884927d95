#include "core/step/step_builder.hpp"

#include <algorithm>
#include <utility>

#include "core/base/check.hpp"

namespace hybridgen {

StepBuilder::StepBuilder(const Machine& machine, StepId id, Batch batch)
    : machine_(machine), last_of_lane_(machine.lanes().size()) {
  step_.id = id;
  step_.batch = std::move(batch);
}

OpId StepBuilder::add(Op op, std::initializer_list<OpId> dependencies) {
  return append(std::move(op), dependencies.begin(), dependencies.size());
}

OpId StepBuilder::add(Op op, const std::vector<OpId>& dependencies) {
  return append(std::move(op), dependencies.data(), dependencies.size());
}

OutcomeId StepBuilder::declare(OutcomeKind kind, RequestId request, int layer, std::int64_t least,
                               std::int64_t bound) {
  HG_CHECK(!declared_.valid(), "outcome " << declared_.value << " has no producer yet");
  HG_CHECK(0 <= least && least <= bound, "bounds of an outcome");
  declared_ = OutcomeId(static_cast<std::int64_t>(step_.outcomes.size()));
  step_.outcomes.push_back({declared_, kind, OpId(), request, layer, least, bound});
  return declared_;
}

OpId StepBuilder::append(Op op, const OpId* dependencies, std::size_t count) {
  op.id = OpId(static_cast<std::int64_t>(step_.ops.size()));
  op.lane = machine_.lane_of(op.role);
  op.first_dependency = static_cast<std::uint32_t>(step_.dependencies.size());
  auto add_dependency = [&](OpId id) {
    if (!id.valid()) return;
    HG_CHECK(id < op.id, "op " << op.id.value << " depends on later op " << id.value);
    const auto begin = step_.dependencies.begin() + op.first_dependency;
    if (std::find(begin, step_.dependencies.end(), id) == step_.dependencies.end())
      step_.dependencies.push_back(id);
  };
  add_dependency(last_of_lane_[op.lane.index()]);
  for (std::size_t i = 0; i < count; ++i) add_dependency(dependencies[i]);
  op.dependency_count = static_cast<std::uint32_t>(step_.dependencies.size()) - op.first_dependency;

  check_outcome_known(op.traffic.flops, op);
  check_outcome_known(op.traffic.items, op);
  for (const Access& access : op.traffic.accesses) check_outcome_known(access.bytes, op);
  for (const Copy& copy : op.traffic.copies) check_outcome_known(copy.bytes, op);

  op.produces = std::exchange(declared_, OutcomeId());
  if (op.produces.valid()) step_.outcomes[op.produces.index()].producer = op.id;
  last_of_lane_[op.lane.index()] = op.id;
  step_.ops.push_back(std::move(op));
  return step_.ops.back().id;
}

void StepBuilder::check_outcome_known(const Amount& amount, const Op& op) const {
  if (amount.known() || amount.outcome == declared_) return;  // a producer may be sized by its own outcome
  HG_CHECK(
      amount.outcome.index() < step_.outcomes.size() &&
          step_.outcomes[amount.outcome.index()].producer.valid(),
      "op " << op.id.value << " (" << name_of(op.kind) << ") is sized by an outcome nobody has produced");
}

Step StepBuilder::take() {
  HG_CHECK(!declared_.valid(), "outcome " << declared_.value << " has no producer");
  return std::move(step_);
}

}  // namespace hybridgen
