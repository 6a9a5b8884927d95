#include "study/same_plan.hpp"

#include <sstream>
#include <vector>

namespace hybridgen {
namespace {

template <class Value>
std::string differs(const std::string& where, const Value& real, const Value& simulated) {
  std::ostringstream text;
  text << where << ": " << real << " in the real run, " << simulated << " in the simulated one";
  return text.str();
}

std::vector<std::string> names(const auto& items) {
  std::vector<std::string> result;
  for (const auto& item : items) result.push_back(item.name);
  return result;
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Ids mean the same in both results only if both platforms list the same names in the same order.
std::string machine_difference(const Machine& real, const Machine& simulated) {
  const std::pair<const char*, std::pair<std::vector<std::string>, std::vector<std::string>>> lists[] = {
      {"lanes", {names(real.lanes()), names(simulated.lanes())}},
      {"channels", {names(real.channels()), names(simulated.channels())}},
      {"tiers", {names(real.tiers()), names(simulated.tiers())}}};
  for (const auto& [what, both] : lists) {
    if (both.first != both.second)
      return differs(std::string(what) + " of the platform", join(both.first), join(both.second));
  }
  return {};
}

std::string row_difference(const std::string& step, const RequestDecision& real,
                           const RequestDecision& simulated) {
  const std::string where = step + ", request " + std::to_string(real.request.value) + ", ";
  const auto field = [&](const char* name, std::int64_t a, std::int64_t b) {
    return a == b ? std::string() : differs(where + name, a, b);
  };
  const std::string found[] = {field("request", real.request.value, simulated.request.value),
                               field("first_position", real.first_position, simulated.first_position),
                               field("query_tokens", real.query_tokens, simulated.query_tokens),
                               field("device_tokens", real.device_tokens, simulated.device_tokens),
                               field("host_tokens", real.host_tokens, simulated.host_tokens),
                               field("evict_tokens", real.evict_tokens, simulated.evict_tokens),
                               field("rows_per_head", real.rows_per_head, simulated.rows_per_head),
                               field("drop_tokens", real.drop_tokens, simulated.drop_tokens)};
  for (const std::string& difference : found) {
    if (!difference.empty()) return difference;
  }
  return {};
}

std::string decision_difference(const std::string& step, const Decision& real, const Decision& simulated) {
  if (real.rows.size() != simulated.rows.size())
    return differs(step + ", requests in the batch", real.rows.size(), simulated.rows.size());
  for (std::size_t i = 0; i < real.rows.size(); ++i) {
    const std::string difference = row_difference(step, real.rows[i], simulated.rows[i]);
    if (!difference.empty()) return difference;
  }
  return {};
}

std::string ops_difference(const std::string& step, const StepEvent& real, const StepEvent& simulated,
                           const Machine& machine) {
  if (real.ops.size() != simulated.ops.size())
    return differs(step + ", number of ops", real.ops.size(), simulated.ops.size());
  const auto describe = [&](const OpEvent& op) {
    return std::string(name_of(op.kind)) + " on " + machine.lane(op.lane).name + ", layer " +
           std::to_string(op.layer) + ", request " + std::to_string(op.request.value);
  };
  for (std::size_t i = 0; i < real.ops.size(); ++i) {
    const OpEvent& a = real.ops[i];
    const OpEvent& b = simulated.ops[i];
    if (a.op == b.op && a.kind == b.kind && a.lane == b.lane && a.layer == b.layer && a.request == b.request)
      continue;
    return differs(step + ", op " + std::to_string(a.op.value), describe(a), describe(b));
  }
  return {};
}

}  // namespace

std::string first_difference(const StoredResult& real, const StoredResult& simulated) {
  const Experiment& x = real.experiment;
  const Experiment& y = simulated.experiment;
  if (x.model != y.model) return differs("model", x.model, y.model);
  if (x.kv_dtype != y.kv_dtype) return differs("policy.kv_dtype", name_of(x.kv_dtype), name_of(y.kv_dtype));
  const Machine& machine = real.platform.machine;
  std::string difference = machine_difference(machine, simulated.platform.machine);
  if (!difference.empty()) return difference;
  const auto& a = real.timeline.steps;
  const auto& b = simulated.timeline.steps;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const std::string step = "step " + std::to_string(i);
    difference = decision_difference(step, a[i].decision, b[i].decision);
    if (difference.empty()) difference = ops_difference(step, a[i], b[i], machine);
    if (!difference.empty()) return difference;
  }
  if (a.size() != b.size()) return differs("number of steps", a.size(), b.size());
  if (real.timeline.decision_hash != simulated.timeline.decision_hash)
    return differs("decision hash", real.timeline.decision_hash, simulated.timeline.decision_hash);
  return {};
}

}  // namespace hybridgen
