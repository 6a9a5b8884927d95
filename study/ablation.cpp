#include "study/ablation.hpp"

#include <algorithm>
#include <numeric>

#include "core/base/check.hpp"
#include "core/driver/run_metrics.hpp"
#include "study/text_table.hpp"

namespace hybridgen {
namespace {

// What the ops of a lane take of the decode steps' time. Ops of one lane never overlap.
double busy_share(const Timeline& timeline, LaneId lane) {
  TimeNs busy = 0;
  TimeNs time = 0;
  for (const StepEvent& step : timeline.steps) {
    if (step.decision.rows.front().prefill()) continue;
    time += step.end - step.start;
    for (const OpEvent& op : step.ops) busy += op.lane == lane ? op.end - op.start : 0;
  }
  return time > 0 ? static_cast<double>(busy) / static_cast<double>(time) : 0;
}

std::vector<ChannelLoad> decode_loads(const Machine& machine, const Timeline& timeline) {
  std::vector<Bytes> sums(machine.channels().size());
  std::int64_t steps = 0;
  for (const StepEvent& step : timeline.steps) {
    if (step.decision.rows.front().prefill()) continue;
    ++steps;
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += step.channel_bytes[i];
  }
  std::vector<ChannelLoad> loads;
  for (const Channel& channel : machine.channels()) {
    const Bytes bytes = steps > 0 ? sums[channel.id.index()] / steps : 0;
    if (bytes > 0) loads.push_back({channel.name, bytes});
  }
  return loads;
}

bool same_place(const AblationPoint& a, const AblationPoint& b) {
  return a.platform == b.platform && a.prompt_tokens == b.prompt_tokens;
}

TextRow row_of(const AblationPoint& point, const std::vector<std::string>& channels) {
  TextRow row = {point.variant};
  if (!point.missing.empty()) {
    row.push_back(point.missing);
    row.resize(4 + channels.size() + 1);
    return row;
  }
  row.push_back(number(point.tpot_ms, 3) +
                (point.tpot_spread > 0 ? " +-" + number(50 * point.tpot_spread, 1) + " %" : ""));
  row.push_back(point.speedup > 0 ? number(point.speedup, 2) + "x" : "");
  row.push_back(number(100 * point.device_share, 0));
  for (const std::string& channel : channels) {
    const auto found = std::find_if(point.loads.begin(), point.loads.end(),
                                    [&](const ChannelLoad& load) { return load.channel == channel; });
    row.push_back(found == point.loads.end() ? "0"
                                             : number(static_cast<double>(found->bytes_per_step) / 1e6, 2));
  }
  row.push_back(point.quality ? number(point.quality->perplexity / point.quality->reference_perplexity, 4) +
                                    " / " + number(point.quality->mean_kl, 5)
                              : "unknown");
  return row;
}

// The points of one platform and context.
std::string table_of(const std::vector<AblationPoint>& points) {
  std::vector<std::string> channels;
  for (const AblationPoint& point : points) {
    for (const ChannelLoad& load : point.loads) {
      if (std::find(channels.begin(), channels.end(), load.channel) == channels.end())
        channels.push_back(load.channel);
    }
  }
  std::vector<TextRow> rows = {{"variant", "TPOT ms", "speed-up", "device busy %"}};
  for (const std::string& channel : channels) rows.front().push_back(channel + " MB/step");
  rows.front().push_back("perplexity / full, mean KL");
  for (const AblationPoint& point : points) rows.push_back(row_of(point, channels));
  return text_table(rows);
}

}  // namespace

AblationPoint ablation_point(const Machine& machine, const std::vector<Timeline>& timelines) {
  HG_CHECK(!timelines.empty(), "a point without a run");
  std::vector<double> tpot;
  for (const Timeline& timeline : timelines) tpot.push_back(metrics_of(timeline).tpot_mean_ms);
  std::vector<std::size_t> order(tpot.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return tpot[a] < tpot[b]; });
  const std::size_t median = order[(order.size() - 1) / 2];
  AblationPoint point;
  point.tpot_ms = tpot[median];
  if (tpot[median] > 0) point.tpot_spread = (tpot[order.back()] - tpot[order.front()]) / tpot[median];
  point.device_share = busy_share(timelines[median], machine.lane_of(Role::device));
  point.loads = decode_loads(machine, timelines[median]);
  return point;
}

void compare_with_first(AblationReport& report) {
  for (AblationPoint& point : report.points) {
    const auto first = std::find_if(report.points.begin(), report.points.end(),
                                    [&](const AblationPoint& other) { return same_place(point, other); });
    const bool both = first->tpot_ms > 0 && point.tpot_ms > 0;
    point.speedup = both ? first->tpot_ms / point.tpot_ms : 0;
  }
}

std::string to_text(const AblationReport& report) {
  std::string text = report.title + " (" + report.executor + ", outcomes: " + report.outcome_source + ")\n";
  for (std::size_t begin = 0; begin < report.points.size();) {
    std::vector<AblationPoint> place;
    while (begin < report.points.size() &&
           (place.empty() || same_place(place.front(), report.points[begin]))) {
      place.push_back(report.points[begin++]);
    }
    text += "\n" + place.front().platform + ", " + std::to_string(place.front().prompt_tokens) +
            " prompt tokens\n" + table_of(place);
  }
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace hybridgen
