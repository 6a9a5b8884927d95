#include "sim/world/platform_durations.hpp"

namespace hybridgen {
namespace {

double resolved(const Amount& amount, std::span<const std::int64_t> counts) {
  return static_cast<double>(amount.resolve(counts));
}

double seconds_per_byte(double bytes_per_s) {
  return bytes_per_s > 0 ? 1 / bytes_per_s : 0;
}

// Collects bytes that one lane moves at one speed.
class ByteFlows {
 public:
  explicit ByteFlows(std::vector<Flow>& flows) : flows_(flows), first_(flows.size()) {}

  void add(double bytes, double seconds, const ChannelPath& path) {
    if (bytes == 0) return;
    lane_s_ += bytes * seconds;
    for (std::size_t i = first_; i < flows_.size(); ++i) {
      if (flows_[i].channels == path) {
        flows_[i].amount += bytes;
        return;
      }
    }
    flows_.push_back({bytes, 0, path});
  }

  void set_caps() {
    if (lane_s_ == 0) return;
    for (std::size_t i = first_; i < flows_.size(); ++i) flows_[i].cap_per_s = flows_[i].amount / lane_s_;
  }

 private:
  std::vector<Flow>& flows_;
  std::size_t first_;
  double lane_s_ = 0;
};

void add_rate(double amount, double per_s, OpPlan& plan) {
  if (amount > 0 && per_s > 0) plan.flows.push_back({amount, per_s, {}});
}

}  // namespace

OpPlan PlatformDurations::plan(const Step&, const Op& op, std::span<const std::int64_t> counts) {
  const ProcessorId processor = machine_.lane(op.lane).processor;
  const KernelCost& kernel = machine_.costs(processor).kernels[static_cast<std::size_t>(op.kind)];
  const CopyCost& copying = machine_.copy_cost(op.role);
  OpPlan plan;
  plan.fixed_ns = op.traffic.copies.empty() ? kernel.fixed_ns : copying.fixed_ns;

  ByteFlows copies(plan.flows);
  for (const Copy& copy : op.traffic.copies) {
    copies.add(resolved(copy.bytes, counts), seconds_per_byte(copying.bytes_per_s),
               machine_.copy_path(copy.from, copy.to));
  }
  copies.set_caps();

  ByteFlows accesses(plan.flows);
  for (const Access& access : op.traffic.accesses) {
    double seconds = seconds_per_byte(kernel.bytes_per_s);
    if (access.row_bytes > 0) seconds += kernel.row_ns * 1e-9 / static_cast<double>(access.row_bytes);
    accesses.add(resolved(access.bytes, counts), seconds, machine_.access_path(processor, access.tier));
  }
  accesses.set_caps();

  add_rate(resolved(op.traffic.flops, counts), kernel.flops_per_s, plan);
  add_rate(resolved(op.traffic.items, counts), kernel.items_per_s, plan);
  return plan;
}

double PlatformDurations::step_gap_ns(const Step& step) {
  return step.id.value == 0 ? 0 : machine_.step_gap_ns();
}

}  // namespace hybridgen
