#include "core/driver/overlap.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace hybridgen {
namespace {

using Spans = std::vector<std::pair<TimeNs, TimeNs>>;  // start and end

enum class Side { host, device, neither };

Side side_of(OpKind kind) {
  switch (kind) {
    case OpKind::send_query:
    case OpKind::host_logits:
    case OpKind::select:
    case OpKind::pack_rows:
    case OpKind::pack_keys:
    case OpKind::send_scores:
    case OpKind::send_rows:
    case OpKind::send_keys:
    case OpKind::host_attend:
    case OpKind::send_partial:
      return Side::host;
    case OpKind::load_kv:  // KV on its way, whoever attends to it
    case OpKind::offload_kv:
      return Side::neither;
    default:
      return Side::device;
  }
}

// Sorted, and without overlaps.
Spans joined(Spans spans) {
  std::sort(spans.begin(), spans.end());
  Spans result;
  for (const auto& span : spans) {
    if (!result.empty() && span.first <= result.back().second) {
      result.back().second = std::max(result.back().second, span.second);
    } else {
      result.push_back(span);
    }
  }
  return result;
}

TimeNs length(const Spans& spans) {
  TimeNs sum = 0;
  for (const auto& [start, end] : spans) sum += end - start;
  return sum;
}

// Of both at once; each sorted and without overlaps.
TimeNs common(const Spans& a, const Spans& b) {
  TimeNs sum = 0;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    sum += std::max<TimeNs>(0, std::min(a[i].second, b[j].second) - std::max(a[i].first, b[j].first));
    if (a[i].second < b[j].second) {
      ++i;
    } else {
      ++j;
    }
  }
  return sum;
}

}  // namespace

HostOverlap host_overlap(const Timeline& timeline) {
  HostOverlap overlap;
  for (const StepEvent& step : timeline.steps) {
    if (step.decision.rows.front().prefill()) continue;
    Spans host;
    Spans device;
    for (const OpEvent& op : step.ops) {
      const Side side = side_of(op.kind);
      if (side == Side::host) host.emplace_back(op.start, op.end);
      if (side == Side::device) device.emplace_back(op.start, op.end);
    }
    host = joined(std::move(host));
    overlap.host_ns += length(host);
    overlap.hidden_ns += common(host, joined(std::move(device)));
  }
  return overlap;
}

}  // namespace hybridgen
