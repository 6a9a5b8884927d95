#include "formats/ablation_report.hpp"

#include <nlohmann/json.hpp>

namespace hybridgen {
namespace {

using Json = nlohmann::ordered_json;  // keys stay in the order in which people read them

Json point_json(const AblationPoint& point) {
  Json json = {
      {"variant", point.variant}, {"platform", point.platform}, {"prompt_tokens", point.prompt_tokens}};
  if (!point.missing.empty()) {
    json["missing"] = point.missing;
    return json;
  }
  json["tpot_ms"] = point.tpot_ms;
  json["tpot_spread"] = point.tpot_spread;
  json["speedup_over_first"] = point.speedup;
  json["device_busy_share"] = point.device_share;
  json["bytes_per_decode_step"] = Json::object();
  for (const ChannelLoad& load : point.loads)
    json["bytes_per_decode_step"][load.channel] = load.bytes_per_step;
  json["quality"] = point.quality ? Json::parse(to_json(*point.quality)) : Json("unknown");
  return json;
}

}  // namespace

std::string to_json(const AblationReport& report) {
  Json json = {
      {"title", report.title}, {"executor", report.executor}, {"outcome_source", report.outcome_source}};
  json["points"] = Json::array();
  for (const AblationPoint& point : report.points) json["points"].push_back(point_json(point));
  json["notes"] = report.notes;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hybridgen
