#include "core/executor/check_step.hpp"

#include <vector>

#include "core/base/check.hpp"

namespace hybridgen {
namespace {

class StepCheck {
 public:
  StepCheck(const Step& step, const Machine& machine) : step_(step), machine_(machine) {}

  void op(const Op& op, const Capabilities& capabilities) const {
    const auto here = [&] {
      return "step " + std::to_string(step_.id.value) + " op " + std::to_string(op.id.value) + " (" +
             name_of(op.kind) + ")";
    };
    HG_CHECK(capabilities.kinds[static_cast<std::size_t>(op.kind)],
             here() << ": executor " << capabilities.executor << " does not carry it out");
    for (const OpId id : step_.dependencies_of(op))
      HG_CHECK(id < op.id, here() << " depends on " << id.value);
    amount(op, op.traffic.flops);
    amount(op, op.traffic.items);
    const ProcessorId processor = machine_.lane(op.lane).processor;
    for (const Access& access : op.traffic.accesses) {
      amount(op, access.bytes);
      HG_CHECK(machine_.reaches(processor, access.tier), here() << ": " << machine_.processor(processor).name
                                                                << " cannot reach "
                                                                << machine_.tier(access.tier).name);
    }
    for (const Copy& copy : op.traffic.copies) {
      amount(op, copy.bytes);
      HG_CHECK(machine_.copies(copy.from, copy.to), here()
                                                        << ": no path from " << machine_.tier(copy.from).name
                                                        << " to " << machine_.tier(copy.to).name);
    }
  }

 private:
  void amount(const Op& op, const Amount& amount) const {
    HG_CHECK(amount.base >= 0 && amount.per_count >= 0, "op " << op.id.value << " has a negative size");
    if (amount.known()) return;
    const OpId producer = step_.outcomes.at(amount.outcome.index()).producer;
    HG_CHECK(producer.valid() && comes_after(op, producer),
             "op " << op.id.value << " is sized by outcome " << amount.outcome.value
                   << " but does not come after its producer " << producer.value);
  }

  // Marks what the op depends on, newest first; ids only shrink along dependencies, so one sweep down to the
  // producer sees every path.
  bool comes_after(const Op& op, OpId producer) const {
    HG_CHECK(producer <= op.id, "op " << op.id.value << " is sized by the later op " << producer.value);
    std::vector<bool> reached(op.id.index() - producer.index() + 1);
    reached.back() = true;
    for (std::size_t i = op.id.index(); i > producer.index(); --i) {
      if (!reached[i - producer.index()]) continue;
      for (const OpId id : step_.dependencies_of(step_.ops[i])) {
        if (id >= producer) reached[id.index() - producer.index()] = true;
      }
    }
    return reached.front();
  }

  const Step& step_;
  const Machine& machine_;
};

}  // namespace

void check_step(const Step& step, const Machine& machine, const Capabilities& capabilities) {
  const StepCheck check(step, machine);
  for (std::size_t i = 0; i < step.ops.size(); ++i) {
    HG_CHECK(step.ops[i].id.index() == i, "op ids are not dense at " << i);
    check.op(step.ops[i], capabilities);
  }
}

}  // namespace hybridgen
