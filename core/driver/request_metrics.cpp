#include "core/driver/request_metrics.hpp"

#include "core/base/check.hpp"

namespace hybridgen {

const char* name_of(RequestEnd end) {
  switch (end) {
    case RequestEnd::length:
      return "length";
    case RequestEnd::end_of_sequence:
      return "end_of_sequence";
    case RequestEnd::unfinished:
      return "unfinished";
  }
  HG_CHECK(false, "end " << static_cast<int>(end));
}

std::vector<RequestMetrics> request_metrics(const WorkloadShape& workload, const Timeline& timeline) {
  constexpr double kMs = 1e6;
  std::vector<RequestMetrics> all(workload.requests.size());
  std::vector<TimeNs> first_token(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i].asked = workload.requests[i];
  for (const StepEvent& step : timeline.steps) {
    for (const RequestDecision& row : step.decision.rows) {
      RequestMetrics& request = all.at(row.request.index());
      TimeNs& first = first_token[row.request.index()];
      request.slot = row.slot;
      if (++request.generated == 1) {
        first = step.end;
        request.ttft_ms = static_cast<double>(first - timeline.steps.front().start) / kMs;
      } else {
        request.tpot_mean_ms =
            static_cast<double>(step.end - first) / kMs / static_cast<double>(request.generated - 1);
      }
      if (request.generated == request.asked.new_tokens) request.end = RequestEnd::length;
    }
    for (const OutcomeEvent& outcome : step.outcomes) {
      const bool ends = outcome.kind == OutcomeKind::end_of_sequence && outcome.count > 0;
      if (ends) all.at(outcome.request.index()).end = RequestEnd::end_of_sequence;
    }
  }
  return all;
}

}  // namespace hybridgen
