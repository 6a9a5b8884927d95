#include "study/replay.hpp"

#include <sstream>
#include <vector>

#include "core/driver/driver.hpp"

namespace hybridgen {
namespace {

// Compares pair by pair and keeps the first that differs.
class FirstDifference {
 public:
  template <class Value>
  void compare(const std::string& where, const char* what, const Value& recorded, const Value& replayed) {
    if (!text_.empty() || recorded == replayed) return;
    std::ostringstream text;
    text << where << what << ": recorded was " << recorded << ", replayed is " << replayed;
    text_ = text.str();
  }
  bool found() const { return !text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void compare_decisions(const std::string& step, const Decision& a, const Decision& b,
                       FirstDifference& first) {
  first.compare(step, "requests in the batch", a.rows.size(), b.rows.size());
  for (std::size_t i = 0; i < a.rows.size() && !first.found(); ++i) {
    const RequestDecision& x = a.rows[i];
    const RequestDecision& y = b.rows[i];
    const std::string row = step + "request " + std::to_string(x.request.value) + ", ";
    std::vector<std::int64_t> replayed;
    for_each_field(y, [&](const char*, std::int64_t value) { replayed.push_back(value); });
    std::size_t field = 0;
    for_each_field(
        x, [&](const char* name, std::int64_t value) { first.compare(row, name, value, replayed[field++]); });
  }
}

void compare_ops(const std::string& step, const StepEvent& a, const StepEvent& b, FirstDifference& first) {
  first.compare(step, "number of ops", a.ops.size(), b.ops.size());
  for (std::size_t i = 0; i < a.ops.size() && !first.found(); ++i) {
    const OpEvent& x = a.ops[i];
    const OpEvent& y = b.ops[i];
    const std::string op = step + "op " + std::to_string(i) + " (" + name_of(x.kind) + "), ";
    first.compare(op, "op", x.op.value, y.op.value);
    first.compare(op, "kind", std::string(name_of(x.kind)), std::string(name_of(y.kind)));
    first.compare(op, "lane", x.lane.value, y.lane.value);
    first.compare(op, "layer", x.layer, y.layer);
    first.compare(op, "request", x.request.value, y.request.value);
    first.compare(op, "start_ns", x.start, y.start);
    first.compare(op, "end_ns", x.end, y.end);
    first.compare(op, "bytes", x.bytes, y.bytes);
  }
}

void compare_outcomes(const std::string& step, const StepEvent& a, const StepEvent& b,
                      FirstDifference& first) {
  first.compare(step, "number of outcomes", a.outcomes.size(), b.outcomes.size());
  for (std::size_t i = 0; i < a.outcomes.size() && !first.found(); ++i) {
    const OutcomeEvent& x = a.outcomes[i];
    const OutcomeEvent& y = b.outcomes[i];
    const std::string outcome = step + "outcome " + std::to_string(i) + ", ";
    first.compare(outcome, "kind", std::string(name_of(x.kind)), std::string(name_of(y.kind)));
    first.compare(outcome, "request", x.request.value, y.request.value);
    first.compare(outcome, "layer", x.layer, y.layer);
    first.compare(outcome, "bound_count", x.bound, y.bound);
    first.compare(outcome, "count", x.count, y.count);
  }
}

void compare_bytes(const std::string& where, const char* each, const std::vector<Bytes>& a,
                   const std::vector<Bytes>& b, FirstDifference& first) {
  first.compare(where, each, a.size(), b.size());
  for (std::size_t i = 0; i < a.size() && !first.found(); ++i)
    first.compare(where + each + " " + std::to_string(i) + ", ", "bytes", a[i], b[i]);
}

}  // namespace

Timeline replay(const StoredResult& recorded, const ModelShape& model, Executor& executor) {
  const Experiment& experiment = recorded.experiment;
  const Machine& machine = recorded.platform.machine;
  Policy policy(experiment.composition, {machine, model, experiment.kv_dtype, experiment.params},
                experiment.workload());
  Driver driver(machine, model, experiment.workload(), policy, executor);
  std::vector<Decision> decisions;
  for (const StepEvent& step : recorded.timeline.steps) decisions.push_back(step.decision);
  driver.force(std::move(decisions));
  return driver.run();
}

std::string timeline_difference(const Timeline& recorded, const Timeline& replayed) {
  FirstDifference first;
  first.compare("", "number of steps", recorded.steps.size(), replayed.steps.size());
  for (std::size_t i = 0; i < recorded.steps.size() && !first.found(); ++i) {
    const StepEvent& a = recorded.steps[i];
    const StepEvent& b = replayed.steps[i];
    const std::string step = "step " + std::to_string(i) + ", ";
    compare_decisions(step, a.decision, b.decision, first);
    first.compare(step, "structure hash", a.structure, b.structure);
    first.compare(step, "start_ns", a.start, b.start);
    compare_ops(step, a, b, first);
    first.compare(step, "end_ns", a.end, b.end);
    compare_outcomes(step, a, b, first);
    compare_bytes(step, "channel", a.channel_bytes, b.channel_bytes, first);
  }
  compare_bytes("", "peak of tier", recorded.tier_peak_bytes, replayed.tier_peak_bytes, first);
  first.compare("", "decision hash", recorded.decision_hash, replayed.decision_hash);
  return first.text();
}

}  // namespace hybridgen
