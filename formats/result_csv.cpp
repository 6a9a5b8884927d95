// steps.csv, ops.csv, outcomes.csv, requests.csv. No field needs quoting: names are checked when the platform
// is read.
#include <array>
#include <charconv>

#include "core/base/hash.hpp"
#include "core/driver/request_metrics.hpp"
#include "formats/result_files.hpp"

namespace hybridgen {
namespace {

class CsvText {
 public:
  explicit CsvText(const std::string& columns) : text_(columns + "\n") {}
  CsvText& add(const std::string& field) {
    if (!first_) text_ += ',';
    first_ = false;
    text_ += field;
    return *this;
  }
  CsvText& add(std::int64_t field) { return add(std::to_string(field)); }
  void end_row() {
    text_ += '\n';
    first_ = true;
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  bool first_ = true;
};

std::string hex(std::uint64_t value) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) text[i] = kDigits[value & 0xf];
  return text;
}

// To the nanosecond.
std::string milliseconds(double ms) {
  std::array<char, 64> buffer{};
  const auto [end, code] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), ms, std::chars_format::fixed, 6);
  return code == std::errc() ? std::string(buffer.data(), end) : "";
}

}  // namespace

std::string steps_columns(const Machine& machine) {
  std::string columns =
      "step,phase,requests_count,query_tokens,device_tokens,host_tokens,evict_tokens,start_ns,end_ns,ops_"
      "count,"
      "structure_hash";
  for (const Channel& channel : machine.channels()) columns += "," + channel.name + "_bytes";
  return columns;
}

std::string steps_csv(const Machine& machine, const Timeline& timeline) {
  CsvText csv(steps_columns(machine));
  for (const StepEvent& step : timeline.steps) {
    RequestDecision sum;
    for (const RequestDecision& row : step.decision.rows) {
      sum.query_tokens += row.query_tokens;
      sum.device_tokens += row.device_tokens;
      sum.host_tokens += row.host_tokens;
      sum.evict_tokens += row.evict_tokens;
    }
    const bool prefill = !step.decision.rows.empty() && step.decision.rows.front().prefill();
    csv.add(step.decision.step.value).add(prefill ? "prefill" : "decode");
    csv.add(static_cast<std::int64_t>(step.decision.rows.size()));
    csv.add(sum.query_tokens).add(sum.device_tokens).add(sum.host_tokens).add(sum.evict_tokens);
    csv.add(step.start)
        .add(step.end)
        .add(static_cast<std::int64_t>(step.ops.size()))
        .add(hex(step.structure));
    for (const Channel& channel : machine.channels()) {
      const std::size_t i = channel.id.index();
      csv.add(i < step.channel_bytes.size() ? step.channel_bytes[i] : 0);
    }
    csv.end_row();
  }
  return csv.take();
}

std::string ops_csv(const Machine& machine, const Timeline& timeline) {
  CsvText csv(kOpsColumns);
  for (const StepEvent& step : timeline.steps) {
    for (const OpEvent& op : step.ops) {
      csv.add(step.decision.step.value).add(op.op.value).add(name_of(op.kind));
      csv.add(machine.lane(op.lane).name).add(op.layer).add(op.request.value);
      csv.add(op.start).add(op.end).add(op.bytes);
      csv.end_row();
    }
  }
  return csv.take();
}

std::string requests_csv(const WorkloadShape& workload, const Timeline& timeline) {
  CsvText csv("request,prompt_tokens,new_tokens,generated_tokens,slot,ttft_ms,tpot_mean_ms,end");
  std::int64_t id = 0;
  for (const RequestMetrics& request : request_metrics(workload, timeline)) {
    csv.add(id++).add(request.asked.prompt_tokens).add(request.asked.new_tokens).add(request.generated);
    csv.add(request.slot.value);
    csv.add(request.slot.valid() ? milliseconds(request.ttft_ms) : "");
    csv.add(request.tpot_mean_ms ? milliseconds(*request.tpot_mean_ms) : "");
    csv.add(name_of(request.end));
    csv.end_row();
  }
  return csv.take();
}

std::string outcomes_csv(const Timeline& timeline) {
  CsvText csv(kOutcomesColumns);
  for (const StepEvent& step : timeline.steps) {
    for (const OutcomeEvent& outcome : step.outcomes) {
      csv.add(step.decision.step.value).add(name_of(outcome.kind)).add(outcome.request.value);
      csv.add(outcome.layer).add(outcome.bound).add(outcome.count);
      csv.end_row();
    }
  }
  return csv.take();
}

}  // namespace hybridgen
