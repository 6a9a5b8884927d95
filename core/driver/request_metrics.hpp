// What each request got out of a run, from its timeline alone, the same for both worlds.
#pragma once

#include <optional>
#include <vector>

#include "core/driver/timeline.hpp"
#include "core/policy/workload_shape.hpp"

namespace hybridgen {

enum class RequestEnd {
  length,           // all of its new tokens
  end_of_sequence,  // a token that ends it
  unfinished,       // the timeline is cut off
};
const char* name_of(RequestEnd end);

struct RequestMetrics {
  RequestShape asked;
  Tokens generated = 0;
  SlotId slot;         // invalid: it never started
  double ttft_ms = 0;  // start of the run, when every request arrives, to the end of its prefill
  // First to last token, by the tokens after the first; none of one token.
  std::optional<double> tpot_mean_ms;
  RequestEnd end = RequestEnd::unfinished;
};

// By request id.
std::vector<RequestMetrics> request_metrics(const WorkloadShape& workload, const Timeline& timeline);

}  // namespace hybridgen
