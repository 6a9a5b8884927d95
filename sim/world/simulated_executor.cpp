#include "sim/world/simulated_executor.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace hybridgen {
namespace {

TimeNs rounded(double ns) {
  return static_cast<TimeNs>(std::llround(ns));
}

}  // namespace

SimulatedExecutor::SimulatedExecutor(const Machine& machine, std::unique_ptr<Engine> engine,
                                     std::unique_ptr<DurationModel> durations,
                                     std::unique_ptr<OutcomeSource> outcomes)
    : machine_(machine),
      engine_(std::move(engine)),
      durations_(std::move(durations)),
      outcomes_(std::move(outcomes)) {
  capabilities_.executor = engine_->name();
  capabilities_.kinds.fill(true);
}

void SimulatedExecutor::submit(std::shared_ptr<const Step> step) {
  submitted_.push_back(std::move(step));
}

Report SimulatedExecutor::wait() {
  HG_CHECK(!submitted_.empty(), "wait without a submitted step");
  const std::shared_ptr<const Step> step = std::move(submitted_.front());
  submitted_.pop_front();

  Report report;
  report.step = step->id;
  report.outcomes.assign(step->outcomes.size(), -1);
  const double gap = durations_->step_gap_ns(*step);
  HG_CHECK(gap >= 0, "step " << step->id.value << " begins " << -gap << " ns before the end of the last");
  const double start = now_ns_ + gap;
  const std::vector<OpSpan> spans = engine_->run(
      OpGraph(*step), [&](OpId id) { return take_up(*step, step->ops[id.index()], report.outcomes); });

  double end = start;
  report.records.reserve(spans.size());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    report.records.push_back(
        {OpId(i), rounded(start + spans[i].start_ns), rounded(start + spans[i].end_ns), 0});
    end = std::max(end, start + spans[i].end_ns);
  }
  now_ns_ = end;
  report.start = rounded(start);
  report.end = rounded(end);
  add_traffic(*step, report);
  return report;
}

// The producer's count is drawn when it becomes ready, because it may size the producer itself.
OpPlan SimulatedExecutor::take_up(const Step& step, const Op& op, std::vector<std::int64_t>& counts) {
  if (op.produces.valid()) {
    const Outcome& outcome = step.outcomes[op.produces.index()];
    const std::int64_t count = outcomes_->count(step, outcome);
    HG_CHECK(outcome.least <= count && count <= outcome.bound,
             "outcome source " << outcomes_->name() << " gave " << count << " for op " << op.id.value
                               << " of step " << step.id.value << ", bounds " << outcome.least << " and "
                               << outcome.bound);
    counts[op.produces.index()] = count;
  }
  return durations_->plan(step, op, counts);
}

void SimulatedExecutor::add_traffic(const Step& step, Report& report) const {
  report.channel_bytes.assign(machine_.channels().size(), 0);
  auto add = [&](OpRecord& record, const Amount& amount, const ChannelPath& path) {
    const Bytes bytes = amount.resolve(report.outcomes);
    record.bytes += bytes;
    for (const ChannelId channel : path) report.channel_bytes[channel.index()] += bytes;
  };
  for (const Op& op : step.ops) {
    OpRecord& record = report.records[op.id.index()];
    const ProcessorId processor = machine_.lane(op.lane).processor;
    for (const Access& access : op.traffic.accesses) {
      add(record, access.bytes, machine_.access_path(processor, access.tier));
    }
    for (const Copy& copy : op.traffic.copies) {
      add(record, copy.bytes, machine_.copy_path(copy.from, copy.to));
    }
  }
}

}  // namespace hybridgen
