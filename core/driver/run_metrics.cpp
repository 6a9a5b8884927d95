#include "core/driver/run_metrics.hpp"

#include <algorithm>
#include <cmath>

namespace hybridgen {

double percentile(std::vector<double> values, double percent) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(percent / 100 * static_cast<double>(values.size()));
  return values[static_cast<std::size_t>(std::max(1.0, rank)) - 1];
}

RunMetrics metrics_of(const Timeline& timeline) {
  constexpr double kMs = 1e6;
  RunMetrics metrics;
  double prefills = 0;
  double decode_tokens = 0;
  double decode_ms = 0;
  TimeNs before = timeline.steps.empty() ? 0 : timeline.steps.front().start;
  const TimeNs origin = before;
  for (const StepEvent& step : timeline.steps) {
    metrics.channel_bytes.resize(step.channel_bytes.size());
    for (std::size_t i = 0; i < step.channel_bytes.size(); ++i)
      metrics.channel_bytes[i] += step.channel_bytes[i];
    if (step.decision.rows.front().prefill()) {
      metrics.ttft_ms += static_cast<double>(step.end - origin) / kMs;
      ++prefills;
    } else {
      // Token to token: what lies between two steps is part of the time a user waits.
      const double ms = static_cast<double>(step.end - before) / kMs;
      metrics.tpot_ms.push_back(ms);
      decode_ms += ms;
      decode_tokens += static_cast<double>(step.decision.rows.size());
    }
    before = step.end;
  }
  metrics.host = host_overlap(timeline);
  const TimeNs duration = before - origin;
  if (duration > 0) metrics.tokens_per_s = (prefills + decode_tokens) / static_cast<double>(duration) * 1e9;
  if (prefills > 0) metrics.ttft_ms /= prefills;
  if (decode_ms > 0) {
    metrics.tpot_mean_ms = decode_ms / static_cast<double>(metrics.tpot_ms.size());
    metrics.tpot_p50_ms = percentile(metrics.tpot_ms, 50);
    metrics.tpot_p90_ms = percentile(metrics.tpot_ms, 90);
    metrics.tpot_p99_ms = percentile(metrics.tpot_ms, 99);
    metrics.decode_tokens_per_s = decode_tokens / decode_ms * 1e3;
  }
  return metrics;
}

}  // namespace hybridgen
