// How much is asked of a run.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/units.hpp"

namespace hybridgen {

// One request's size: what it brings and how much it may generate.
struct RequestShape {
  Tokens prompt_tokens = 0;
  Tokens new_tokens = 0;
  // Positions whose KV is ever cached: the last new token is sampled but never fed back.
  Tokens most_context() const { return prompt_tokens + new_tokens - 1; }
  friend bool operator==(const RequestShape&, const RequestShape&) = default;
};

// What will be asked of a run, before it starts: its requests in the order of their arrival (all at the
// start) and how many of them may be in flight at once.
struct WorkloadShape {
  WorkloadShape() = default;
  // Equal requests, all in flight at once.
  WorkloadShape(int count, Tokens prompt_tokens, Tokens new_tokens, bool stop = false)
      : WorkloadShape(std::vector<RequestShape>(static_cast<std::size_t>(count), {prompt_tokens, new_tokens}),
                      count, stop) {}
  WorkloadShape(std::vector<RequestShape> each, int in_flight, bool stop = false)
      : requests(std::move(each)), batch(in_flight), stop_at_end_of_sequence(stop) {}

  std::vector<RequestShape> requests;  // by request id
  int batch = 1;                       // most requests in flight at once
  bool stop_at_end_of_sequence = false;

  // Of the request that generates most.
  Tokens most_new_tokens() const {
    Tokens most = 0;
    for (const RequestShape& request : requests) most = std::max(most, request.new_tokens);
    return most;
  }
};

}  // namespace hybridgen
