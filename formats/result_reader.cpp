// Reads a result folder back. Every file is held against its columns and against the others.
#include <array>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/error.hpp"
#include "core/base/hash.hpp"
#include "formats/result_files.hpp"
#include "formats/yaml_reader.hpp"

namespace hybridgen {
namespace {

using Json = nlohmann::json;

// One CSV file, row by row.
class CsvReader {
 public:
  CsvReader(const std::string& path, const std::string& columns) : path_(path), text_(read_text_file(path)) {
    std::string found;
    std::getline(text_, found);
    if (found != columns) {
      throw BadInput(path + ":1: columns are '" + found + "'; expected '" + columns + "'");
    }
    for (const char c : columns) count_ += c == ',' ? 1 : 0;
  }

  bool next() {
    std::string line;
    if (!std::getline(text_, line)) return false;
    ++line_;
    fields_.clear();
    std::istringstream in(line);
    for (std::string field; std::getline(in, field, ',');) fields_.push_back(field);
    if (fields_.size() != count_) {
      fail(std::to_string(fields_.size()) + " fields; expected " + std::to_string(count_));
    }
    return true;
  }

  const std::string& text(std::size_t i) const { return fields_[i]; }
  template <class Int = std::int64_t>
  Int integer(std::size_t i, int base = 10) const {
    const std::string& field = fields_[i];
    Int value = 0;
    const auto [end, code] = std::from_chars(field.data(), field.data() + field.size(), value, base);
    if (code != std::errc() || end != field.data() + field.size()) fail("'" + field + "' is no integer");
    return value;
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw BadInput(path_ + ":" + std::to_string(line_) + ": " + what +
                   "; the result is damaged, make it anew");
  }

 private:
  std::string path_;
  std::istringstream text_;
  std::vector<std::string> fields_;
  std::size_t count_ = 1;
  int line_ = 1;
};

// Runs `read` and turns the JSON library's complaints into ours.
template <class Read>
auto guarded(const std::string& where, const Read& read) {
  try {
    return read();
  } catch (const Json::exception& error) {
    throw BadInput(where + ": " + error.what() + "; the result is damaged, make it anew");
  }
}

Json json_file(const std::string& path) {
  return guarded(path, [&] { return Json::parse(read_text_file(path)); });
}

Decision decision_from(const Json& json) {
  Decision decision;
  decision.step = StepId(json.at("step").get<std::int64_t>());
  for (const Json& row : json.at("rows")) {
    RequestDecision request;
    for_each_field(request, [&row](const char* name, auto& field) { row.at(name).get_to(field); });
    for_each_later_field(request, [&row](const char* name, auto& field) {
      if (row.contains(name)) row.at(name).get_to(field);
    });
    decision.rows.push_back(request);
  }
  return decision;
}

void read_decisions(const std::string& path, int requests, Timeline& timeline) {
  std::istringstream lines(read_text_file(path));
  Hash64 hash;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string where = path + ":" + std::to_string(++number);
    StepEvent step;
    step.decision = guarded(where, [&] { return decision_from(Json::parse(line)); });
    if (step.decision.step.index() != timeline.steps.size()) {
      throw BadInput(where + ": step " + std::to_string(step.decision.step.value) +
                     " is out of order; the result is damaged, make it anew");
    }
    if (step.decision.rows.empty()) {
      throw BadInput(where + ": a step without requests; the result is damaged, make it anew");
    }
    for (const RequestDecision& row : step.decision.rows) {
      if (row.request.value < 0 || row.request.value >= requests) {
        throw BadInput(where + ": request " + std::to_string(row.request.value) +
                       " is not of experiment.yaml's requests; the result is damaged, make it anew");
      }
    }
    add_to(hash, step.decision);
    timeline.steps.push_back(std::move(step));
  }
  timeline.decision_hash = hash.hex();
}

StepEvent& step_of(const CsvReader& csv, Timeline& timeline) {
  const auto step = csv.integer(0);
  if (step < 0 || step >= static_cast<std::int64_t>(timeline.steps.size())) {
    csv.fail("step " + std::to_string(step) + " is not among the decisions");
  }
  return timeline.steps[static_cast<std::size_t>(step)];
}

void read_steps(const std::string& path, const Machine& machine, Timeline& timeline) {
  CsvReader csv(path, steps_columns(machine));
  std::size_t rows = 0;
  while (csv.next()) {
    StepEvent& step = step_of(csv, timeline);
    if (csv.integer(0) != static_cast<std::int64_t>(rows++)) csv.fail("steps are out of order");
    step.start = csv.integer(7);
    step.end = csv.integer(8);
    csv.integer<std::uint32_t>(9);  // ops.csv says which
    step.structure = csv.integer<std::uint64_t>(10, 16);
    for (std::size_t i = 0; i < machine.channels().size(); ++i) {
      step.channel_bytes.push_back(csv.integer(11 + i));
    }
  }
  if (rows != timeline.steps.size()) {
    csv.fail(std::to_string(rows) + " steps here, " + std::to_string(timeline.steps.size()) +
             " in decisions.jsonl");
  }
}

void read_ops(const std::string& path, const Machine& machine, Timeline& timeline) {
  std::map<std::string, LaneId> lanes;
  for (const Lane& lane : machine.lanes()) lanes[lane.name] = lane.id;
  CsvReader csv(path, kOpsColumns);
  while (csv.next()) {
    StepEvent& step = step_of(csv, timeline);
    OpEvent op;
    op.op = OpId(csv.integer(1));
    if (op.op.value < 0 || op.op.index() != step.ops.size()) csv.fail("ops are out of order");
    if (!parse_op_kind(csv.text(2), op.kind)) csv.fail("'" + csv.text(2) + "' is no kind of op");
    const auto lane = lanes.find(csv.text(3));
    if (lane == lanes.end()) csv.fail("'" + csv.text(3) + "' is no lane of platform.yaml");
    op.lane = lane->second;
    op.layer = csv.integer<std::int32_t>(4);
    op.request = RequestId(csv.integer(5));
    op.start = csv.integer(6);
    op.end = csv.integer(7);
    op.bytes = csv.integer(8);
    step.ops.push_back(op);
  }
}

void read_outcomes(const std::string& path, Timeline& timeline) {
  CsvReader csv(path, kOutcomesColumns);
  while (csv.next()) {
    OutcomeEvent outcome;
    const std::array kinds = {OutcomeKind::selected_rows, OutcomeKind::end_of_sequence};
    const auto kind = std::find_if(kinds.begin(), kinds.end(),
                                   [&](OutcomeKind each) { return csv.text(1) == name_of(each); });
    if (kind == kinds.end()) csv.fail("'" + csv.text(1) + "' is no kind of outcome");
    outcome.kind = *kind;
    outcome.request = RequestId(csv.integer(2));
    outcome.layer = csv.integer<std::int32_t>(3);
    outcome.bound = csv.integer(4);
    outcome.count = csv.integer(5);
    step_of(csv, timeline).outcomes.push_back(outcome);
  }
}

RunMetrics metrics_from(const Json& json, const Machine& machine) {
  RunMetrics metrics;
  json.at("ttft_ms").get_to(metrics.ttft_ms);
  const Json& tpot = json.at("tpot_ms");
  json.at("tpot_each_ms").get_to(metrics.tpot_ms);
  json.at("tokens_per_s").get_to(metrics.tokens_per_s);
  if (!metrics.tpot_ms.empty()) {  // else null
    tpot.at("mean").get_to(metrics.tpot_mean_ms);
    tpot.at("p50").get_to(metrics.tpot_p50_ms);
    tpot.at("p90").get_to(metrics.tpot_p90_ms);
    tpot.at("p99").get_to(metrics.tpot_p99_ms);
    json.at("decode_tokens_per_s").get_to(metrics.decode_tokens_per_s);
  }
  for (const Channel& channel : machine.channels()) {
    metrics.channel_bytes.push_back(json.at("bytes_moved").at(channel.name).get<Bytes>());
  }
  return metrics;
}

void read_summary(const std::string& path, StoredResult& result) {
  const Machine& machine = result.platform.machine;
  const Json summary = json_file(path);
  guarded(path, [&] {
    for (const Tier& tier : machine.tiers()) {
      result.timeline.tier_peak_bytes.push_back(summary.at("tier_peak_bytes").at(tier.name).get<Bytes>());
    }
    for (const Json& repeat : summary.at("repeat_metrics")) {
      result.repeats.push_back(metrics_from(repeat, machine));
    }
  });
}

}  // namespace

StoredResult read_result(const std::string& folder) {
  const auto file = [&](const char* name) { return folder + "/" + name; };
  const Json manifest = json_file(file("manifest.json"));
  const int format =
      guarded(file("manifest.json"), [&] { return manifest.at("versions").at("result_format").get<int>(); });
  if (format != kResultFormat) {
    throw BadInput(file("manifest.json") + ": result format " + std::to_string(format) +
                   "; this program reads " + std::to_string(kResultFormat) + ", make the result anew");
  }
  StoredResult result{
      load_experiment(file("experiment.yaml")), load_platform(file("platform.yaml")), "", "", "", {}, {}};
  guarded(file("manifest.json"), [&] {
    manifest.at("executor").get_to(result.executor);
    manifest.at("outcome_source").get_to(result.outcome_source);
    manifest.at("commit").get_to(result.commit);
    manifest.at("decision_hash").get_to(result.decision_hash);
  });
  const Machine& machine = result.platform.machine;
  const auto requests = static_cast<int>(result.experiment.all_requests().size());
  read_decisions(file("decisions.jsonl"), requests, result.timeline);
  read_steps(file("steps.csv"), machine, result.timeline);
  read_ops(file("ops.csv"), machine, result.timeline);
  read_outcomes(file("outcomes.csv"), result.timeline);
  read_summary(file("summary.json"), result);
  return result;
}

}  // namespace hybridgen
