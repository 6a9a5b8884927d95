#include "formats/report_json.hpp"

#include <nlohmann/json.hpp>

namespace hybridgen {
namespace {

using Json = nlohmann::ordered_json;  // keys stay in the order in which people read them

Json bytes_json(const std::vector<BytesError>& errors) {
  Json json = Json::object();
  for (const BytesError& each : errors) {
    json[each.name] = {{"real_bytes", each.real}, {"simulated_bytes", each.simulated}, {"error", each.error}};
  }
  return json;
}

Json cost_json(const ByteCost& cost) {
  Json json = {{"from", cost.from}, {"to", cost.to}, {"reachable", cost.reachable}};
  if (!cost.reachable) return json;
  json["bytes_per_s"] = cost.bytes_per_s;
  json["limited_by"] = cost.limited_by;
  json["fixed_ns"] = cost.fixed_ns;
  json["emulated"] = cost.emulated;
  if (!cost.note.empty()) json["note"] = cost.note;
  return json;
}

}  // namespace

std::string to_json(const ByteCostReport& report) {
  Json json;
  json["platform"] = report.platform;
  json["memories"] = Json::array();
  for (const auto& memory : report.memories) {
    json["memories"].push_back({{"name", memory.name},
                                {"kind", memory.kind},
                                {"capacity_bytes", memory.capacity},
                                {"emulated", memory.emulated}});
  }
  json["in_place"] = Json::array();
  for (const ByteCost& cost : report.in_place) json["in_place"].push_back(cost_json(cost));
  json["copies"] = Json::array();
  for (const ByteCost& cost : report.copies) json["copies"].push_back(cost_json(cost));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_json(const ValidationReport& report) {
  Json json;
  json["real_executor"] = report.real_executor;
  json["simulated_executor"] = report.simulated_executor;
  json["simulated_outcome_source"] = report.simulated_outcome_source;
  json["decision_hash"] = report.decision_hash;
  json["steps"] = report.steps;
  json["ops"] = report.ops;
  json["real_repeats"] = report.real_repeats;
  json["op_kinds"] = Json::object();
  for (const OpKindError& each : report.op_kinds) {
    json["op_kinds"][name_of(each.kind)] = {{"count", each.count},
                                            {"real_median_ns", each.real_median_ns},
                                            {"simulated_median_ns", each.simulated_median_ns},
                                            {"median_error", each.median_error},
                                            {"p95_abs_error", each.p95_abs_error},
                                            {"worst_abs_error", each.worst_abs_error}};
  }
  json["latencies"] = Json::object();
  for (const LatencyError& each : report.latencies) {
    json["latencies"][each.name] = {
        {"real_ms", each.real_ms},
        {"simulated_ms", each.simulated_ms},
        {"error", each.error},
        {"real_spread", each.real_spread ? Json(*each.real_spread) : Json(nullptr)}};
  }
  json["channels"] = bytes_json(report.channels);
  json["tier_peaks"] = bytes_json(report.tier_peaks);
  json["notes"] = report.notes;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hybridgen
