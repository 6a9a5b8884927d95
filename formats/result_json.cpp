// manifest.json, summary.json, decisions.jsonl.
#include <nlohmann/json.hpp>

#include "formats/program_commit.hpp"
#include "formats/result_files.hpp"

#ifndef HYBRIDGEN_VERSION
#define HYBRIDGEN_VERSION "unknown"
#endif

namespace hybridgen {
namespace {

using Json = nlohmann::ordered_json;  // keys stay in the order in which people read them

// Text of a model may be cut in the middle of a character; that must not stop a result from being written.
std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json by_channel(const Machine& machine, const std::vector<Bytes>& bytes) {
  Json json = Json::object();
  for (const Channel& channel : machine.channels()) {
    const std::size_t i = channel.id.index();
    json[channel.name] = i < bytes.size() ? bytes[i] : 0;
  }
  return json;
}

// A figure of the decode steps; without one there is none, and 0 would be a claim.
Json of_decode(const RunMetrics& metrics, double figure) {
  return metrics.tpot_ms.empty() ? Json(nullptr) : Json(figure);
}

void add_speed(Json& json, const RunMetrics& metrics) {
  json["ttft_ms"] = metrics.ttft_ms;
  json["tpot_ms"] = {{"mean", of_decode(metrics, metrics.tpot_mean_ms)},
                     {"p50", of_decode(metrics, metrics.tpot_p50_ms)},
                     {"p90", of_decode(metrics, metrics.tpot_p90_ms)},
                     {"p99", of_decode(metrics, metrics.tpot_p99_ms)}};
  json["decode_tokens_per_s"] = of_decode(metrics, metrics.decode_tokens_per_s);
  json["tokens_per_s"] = metrics.tokens_per_s;
  // Of the decode steps' host work, where there is any.
  const bool host = metrics.host.host_ns > 0;
  json["host_hidden_share"] = host ? Json(metrics.host.hidden_share()) : Json(nullptr);
}

Json repeat_json(const Machine& machine, const RunMetrics& metrics) {
  Json json;
  add_speed(json, metrics);
  json["bytes_moved"] = by_channel(machine, metrics.channel_bytes);
  json["tpot_each_ms"] = metrics.tpot_ms;
  return json;
}

void add_workload(Json& json, const ResultContent& content) {
  const Experiment& experiment = content.experiment;
  json["executor"] = content.header.executor;
  json["policy"] = experiment.composition.preset;
  Json parts = Json::object();
  for (const std::string& slot : part_slots()) {
    const std::string& choice = *experiment.composition.choice(slot);
    if (!choice.empty()) parts[slot] = choice;
  }
  json["parts"] = parts;
  json["platform"] = content.platform.machine.name();
  json["model"] = experiment.model;
  json["prompt_file"] = experiment.prompt_file;
  const bool listed = !experiment.requests.empty();  // then requests.csv says it of each
  json["prompt_tokens"] = listed ? Json(nullptr) : Json(experiment.prompt_tokens);
  json["new_tokens"] = listed ? Json(nullptr) : Json(experiment.new_tokens);
  json["requests_count"] = experiment.all_requests().size();
  json["batch"] = experiment.batch;
}

}  // namespace

std::string manifest_json(const ResultContent& content, const std::string& created) {
  Json json;
  json["created"] = created;
  json["commit"] = program_commit();
  json["versions"] = {{"hybridgen", HYBRIDGEN_VERSION}, {"result_format", kResultFormat}};
  json["machine"] = content.platform.machine.name();
  json["executor"] = content.header.executor;
  json["seed"] = content.experiment.seed;
  json["decision_hash"] = content.timeline.decision_hash;
  json["outcome_source"] = content.header.outcome_source;
  Json emulated = Json::array();
  for (const Tier& tier : content.platform.machine.tiers()) {
    if (tier.emulated) emulated.push_back(tier.name);
  }
  json["emulated_tiers"] = emulated;
  json["notes"] = content.header.notes;
  return dump(json, 2);
}

std::string summary_json(const ResultContent& content) {
  const Machine& machine = content.platform.machine;
  const RunMetrics metrics = metrics_of(content.timeline);
  std::vector<RunMetrics> repeats = content.header.repeats;
  if (repeats.empty()) repeats.push_back(metrics);
  Json json;
  add_workload(json, content);
  add_speed(json, metrics);
  json["bytes_moved"] = by_channel(machine, metrics.channel_bytes);
  Json peaks = Json::object();
  for (const Tier& tier : machine.tiers()) {
    const std::vector<Bytes>& peak = content.timeline.tier_peak_bytes;
    peaks[tier.name] = tier.id.index() < peak.size() ? peak[tier.id.index()] : 0;
  }
  json["tier_peak_bytes"] = peaks;
  json["decision_hash"] = content.timeline.decision_hash;
  json["outcome_source"] = content.header.outcome_source;
  json["quality"] = content.header.quality;
  json["repeats"] = Json::array();  // mean TPOT of each, in ms
  json["repeat_metrics"] = Json::array();
  for (const RunMetrics& repeat : repeats) {
    json["repeats"].push_back(of_decode(repeat, repeat.tpot_mean_ms));
    json["repeat_metrics"].push_back(repeat_json(machine, repeat));
  }
  if (!content.header.generated_ids_sha256.empty()) {
    json["generated_ids_sha256"] = content.header.generated_ids_sha256;
  }
  if (!content.header.generated_text.empty()) json["generated_text"] = content.header.generated_text;
  json["notes"] = content.header.notes;
  return dump(json, 2);
}

std::string decisions_jsonl(const Timeline& timeline) {
  std::string text;
  for (const StepEvent& step : timeline.steps) {
    Json json;
    json["step"] = step.decision.step.value;
    json["rows"] = Json::array();
    for (const RequestDecision& row : step.decision.rows) {
      Json& fields = json["rows"].emplace_back(Json::object());
      for_each_field(row, [&fields](const char* name, std::int64_t value) { fields[name] = value; });
      for_each_later_field(row, [&fields](const char* name, std::int64_t value) {
        if (value != 0) fields[name] = value;
      });
    }
    for (const SplitNote& note : step.decision.notes) {
      json["notes"].push_back({{"request", note.request.value},
                               {"host_ns", note.host_ns},
                               {"device_ns", note.device_ns},
                               {"move", name_of(note.move)},
                               {"ratio_ppm", note.ratio},
                               {"scan_cap", note.scan_cap},
                               {"device_tokens", note.device_tokens}});
    }
    text += dump(json, -1);
  }
  return text;
}

}  // namespace hybridgen
