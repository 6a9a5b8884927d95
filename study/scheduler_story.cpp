#include "study/scheduler_story.hpp"

#include <iomanip>
#include <map>
#include <sstream>
#include <vector>

#include "study/cycle.hpp"

namespace hybridgen {
namespace {

std::string times(const SplitNote& note) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(3) << "host " << static_cast<double>(note.host_ns) * 1e-6
       << " ms, device " << static_cast<double>(note.device_ns) * 1e-6 << " ms";
  return text.str();
}

std::string setting(const SplitNote& note) {
  std::ostringstream text;
  text << "selects " << static_cast<double>(note.ratio) / 1e4 << " % of the host's rows, scans "
       << (note.scan_cap == 0 ? "all of them" : "the newest " + std::to_string(note.scan_cap)) << ", keeps "
       << note.device_tokens << " tokens on the device";
  return text.str();
}

// before: the request's note before this one, if any; a move that changed nothing had met a bound.
std::string line(std::int64_t step, const SplitNote& note, const SplitNote* before) {
  const std::string where =
      "step " + std::to_string(step) + ", request " + std::to_string(note.request.value);
  const bool bound = before != nullptr && setting(*before) == setting(note);
  switch (note.move) {
    case SplitMove::grow:
      return where + ": the host has slack (" + times(note) + "), " +
             (bound ? "but takes all it may already: " : "so it takes more: ") + setting(note) + "\n";
    case SplitMove::shrink:
      return where + ": the host is late (" + times(note) + "), " +
             (bound ? "but takes the least it may already: " : "so it takes less: ") + setting(note) + "\n";
    case SplitMove::keep:
      return where + ": in balance (" + times(note) + "), nothing changes\n";
  }
  return "";
}

std::string verdict(const std::vector<double>& rows) {
  const Cycle cycle = find_cycle(rows, 0.05);
  std::ostringstream text;
  text << std::setprecision(3);
  if (cycle.steady) {
    text << "the selected rows came to rest\n";
  } else if (cycle.period > 0) {
    text << "the selected rows go round: a cycle of " << cycle.mean_period << " decisions, amplitude "
         << cycle.amplitude * 100 << " % of their mean\n";
  } else {
    text << "the selected rows neither came to rest nor repeated; they moved by " << cycle.amplitude * 100
         << " % of their mean in the second half\n";
  }
  return text.str();
}

}  // namespace

std::string scheduler_story(const Timeline& timeline) {
  std::string story;
  std::vector<double> rows;  // of the first request, at every decision
  std::map<RequestId, SplitNote> before;
  bool kept = false;
  if (timeline.steps.empty()) return story;
  const RequestId first = timeline.steps.front().decision.rows.front().request;
  for (const StepEvent& step : timeline.steps) {
    for (const SplitNote& note : step.decision.notes) {
      const bool keeps = note.move == SplitMove::keep;
      const auto last = before.find(note.request);
      if (!keeps || !kept) {
        story += line(step.decision.step.value, note, last == before.end() ? nullptr : &last->second);
      }
      kept = keeps;
      before[note.request] = note;
      for (const RequestDecision& row : step.decision.rows) {
        if (row.request == note.request && row.request == first) {
          rows.push_back(static_cast<double>(row.rows_per_head));
        }
      }
    }
  }
  if (story.empty()) return "";
  constexpr std::size_t kEnough = 8;  // decisions: fewer show no rest and no cycle
  return rows.size() < kEnough ? story : story + verdict(rows);
}

}  // namespace hybridgen
