#include "sim/world/replay_durations.hpp"

#include <algorithm>
#include <string>

#include "core/base/error.hpp"

namespace hybridgen {
namespace {

[[noreturn]] void differs(StepId step, const std::string& what) {
  throw BadInput("replay: step " + std::to_string(step.value) + " " + what);
}

std::string words(OpKind kind, LaneId lane, std::int32_t layer, RequestId request) {
  return std::string(name_of(kind)) + " on lane " + std::to_string(lane.value) + " layer " +
         std::to_string(layer) + " request " + std::to_string(request.value);
}

Bytes bytes_of_traffic(const Op& op, std::span<const std::int64_t> counts) {
  Bytes sum = 0;
  for (const Access& access : op.traffic.accesses) sum += access.bytes.resolve(counts);
  for (const Copy& copy : op.traffic.copies) sum += copy.bytes.resolve(counts);
  return sum;
}

void check_batch(const Step& step, const StepEvent& event) {
  const auto same = [](const BatchRow& planned, const RequestDecision& row) {
    return planned.request == row.request && planned.first_position == row.first_position &&
           planned.query_tokens == row.query_tokens;
  };
  if (!std::equal(step.batch.begin(), step.batch.end(), event.decision.rows.begin(),
                  event.decision.rows.end(), same)) {
    differs(step.id, "is for other requests or positions than recorded");
  }
}

void check_ops(const Step& step, const StepEvent& event) {
  if (event.ops.size() != step.ops.size()) {
    differs(step.id, "has " + std::to_string(step.ops.size()) + " ops, recorded were " +
                         std::to_string(event.ops.size()));
  }
  for (const Op& op : step.ops) {
    const OpEvent& was = event.ops[op.id.index()];
    if (was.kind == op.kind && was.lane == op.lane && was.layer == op.layer && was.request == op.request)
      continue;
    differs(step.id, "op " + std::to_string(op.id.value) + " is " +
                         words(op.kind, op.lane, op.layer, op.request) + ", recorded was " +
                         words(was.kind, was.lane, was.layer, was.request));
  }
  if (event.structure != structure_hash(step)) {
    differs(step.id, "has the recorded ops, but other dependencies, places or traffic between them");
  }
}

}  // namespace

ReplayDurations::ReplayDurations(const Timeline& timeline, ReplayCheck check)
    : timeline_(timeline), check_(check) {
  for (const StepEvent& step : timeline.steps) {
    TimeNs end = step.start;
    for (std::size_t i = 0; i < step.ops.size(); ++i) {
      if (step.ops[i].op.index() != i)
        differs(step.decision.step, "does not list op " + std::to_string(i) + " in its place");
      end = std::max(end, step.ops[i].end);
    }
    if (end != step.end) {
      differs(step.decision.step, "is recorded to end at " + std::to_string(step.end) +
                                      " ns, its last op at " + std::to_string(end) + " ns");
    }
  }
}

// Recorded times are whole nanoseconds below 2^53, so nothing here rounds.
OpPlan ReplayDurations::plan(const Step& step, const Op& op, std::span<const std::int64_t> counts) {
  const StepEvent& event = recorded(step);
  const OpEvent& was = event.ops[op.id.index()];
  const auto here = [&] { return "op " + std::to_string(op.id.value) + " (" + name_of(op.kind) + ") "; };
  if (check_ == ReplayCheck::bytes && bytes_of_traffic(op, counts) != was.bytes) {
    differs(step.id, here() + "moves " + std::to_string(bytes_of_traffic(op, counts)) +
                         " bytes, recorded were " + std::to_string(was.bytes));
  }
  TimeNs ready = event.start;
  for (const OpId id : step.dependencies_of(op)) ready = std::max(ready, event.ops[id.index()].end);
  if (was.start < ready || was.end < was.start) {
    differs(step.id, here() + "is recorded from " + std::to_string(was.start) + " to " +
                         std::to_string(was.end) + " ns, but what it depends on ended at " +
                         std::to_string(ready) + " ns");
  }
  return {static_cast<double>(was.start - ready), static_cast<double>(was.end - was.start), {}};
}

double ReplayDurations::step_gap_ns(const Step& step) {
  const StepEvent& event = recorded(step);
  check_batch(step, event);
  check_ops(step, event);
  const TimeNs before = step.id.value == 0 ? 0 : timeline_.steps[step.id.index() - 1].end;
  if (event.start < before) differs(step.id, "is recorded to start before the end of the step before it");
  return static_cast<double>(event.start - before);
}

const StepEvent& ReplayDurations::recorded(const Step& step) const {
  if (step.id.index() >= timeline_.steps.size() ||
      timeline_.steps[step.id.index()].decision.step != step.id) {
    differs(step.id, "was not recorded; there are " + std::to_string(timeline_.steps.size()) + " steps");
  }
  return timeline_.steps[step.id.index()];
}

}  // namespace hybridgen
