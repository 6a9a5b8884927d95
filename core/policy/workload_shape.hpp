// How much is asked of a run.
#pragma once

#include "core/base/units.hpp"

namespace hybridgen {

// The size of what will be asked of a run, before it starts.
struct WorkloadShape {
  int requests = 1;
  Tokens prompt_tokens = 0;
  Tokens new_tokens = 0;
  bool stop_at_end_of_sequence = false;
  // Positions whose KV is ever cached: the last new token is sampled but never fed back.
  Tokens most_context() const { return prompt_tokens + new_tokens - 1; }
};

}  // namespace hybridgen
