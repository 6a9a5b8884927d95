// trace.json in the Chrome trace format, for Perfetto or chrome://tracing: one track per lane, one counter
// per channel with its mean rate over each step. Times there are in microseconds.
#include <array>
#include <charconv>

#include "formats/result_files.hpp"

namespace hybridgen {
namespace {

constexpr int kLanesPid = 1;
constexpr int kChannelsPid = 2;

std::string thousandths(double value) {
  std::array<char, 64> buffer{};
  const auto [end, code] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, 3);
  return code == std::errc() ? std::string(buffer.data(), end) : "0";
}

std::string microseconds(TimeNs ns) {
  const std::string fraction = std::to_string(1000 + ns % 1000).substr(1);
  return std::to_string(ns / 1000) + "." + fraction;
}

// Names are identifiers, so nothing needs escaping.
class TraceText {
 public:
  void event(const std::string& fields) {
    text_ += text_.empty() ? "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n" : ",\n";
    text_ += "{" + fields + "}";
  }
  void name(const char* what, int pid, std::int64_t tid, const std::string& name) {
    event(std::string("\"ph\":\"M\",\"name\":\"") + what + "\",\"pid\":" + std::to_string(pid) +
          ",\"tid\":" + std::to_string(tid) + ",\"args\":{\"name\":\"" + name + "\"}");
  }
  void counter(const std::string& channel, TimeNs at, double GBps) {
    event("\"ph\":\"C\",\"name\":\"" + channel + "\",\"pid\":" + std::to_string(kChannelsPid) +
          ",\"ts\":" + microseconds(at) + ",\"args\":{\"GB/s\":" + thousandths(GBps) + "}");
  }
  std::string take() { return text_ + "\n]}\n"; }

 private:
  std::string text_;
};

void add_op(TraceText& trace, const StepEvent& step, const OpEvent& op) {
  trace.event(std::string("\"ph\":\"X\",\"name\":\"") + name_of(op.kind) +
              "\",\"pid\":" + std::to_string(kLanesPid) + ",\"tid\":" + std::to_string(op.lane.value) +
              ",\"ts\":" + microseconds(op.start) + ",\"dur\":" + microseconds(op.end - op.start) +
              ",\"args\":{\"step\":" + std::to_string(step.decision.step.value) +
              ",\"op\":" + std::to_string(op.op.value) + ",\"layer\":" + std::to_string(op.layer) +
              ",\"request\":" + std::to_string(op.request.value) + ",\"bytes\":" + std::to_string(op.bytes) +
              "}");
}

}  // namespace

std::string trace_json(const Machine& machine, const Timeline& timeline) {
  TraceText trace;
  trace.name("process_name", kLanesPid, 0, "lanes");
  for (const Lane& lane : machine.lanes()) trace.name("thread_name", kLanesPid, lane.id.value, lane.name);
  trace.name("process_name", kChannelsPid, 0, "channels");
  for (const StepEvent& step : timeline.steps) {
    for (const OpEvent& op : step.ops) add_op(trace, step, op);
  }
  for (const Channel& channel : machine.channels()) {
    for (const StepEvent& step : timeline.steps) {
      const std::size_t i = channel.id.index();
      const Bytes bytes = i < step.channel_bytes.size() ? step.channel_bytes[i] : 0;
      const TimeNs ns = step.end - step.start;  // bytes per nanosecond are GB/s
      trace.counter(channel.name, step.start,
                    ns > 0 ? static_cast<double>(bytes) / static_cast<double>(ns) : 0);
    }
    if (!timeline.steps.empty()) trace.counter(channel.name, timeline.steps.back().end, 0);
  }
  return trace.take();
}

}  // namespace hybridgen
