// The rows a step works on. Immutable.
#pragma once

#include <vector>

#include "core/base/ids.hpp"
#include "core/base/units.hpp"

namespace hybridgen {

struct BatchRow {
  RequestId request;
  Tokens first_position = 0;                                        // of the first query token
  Tokens query_tokens = 0;                                          // 1 in decode, the prompt in prefill
  SlotId slot{0};                                                   // whose room the request has
  Tokens context() const { return first_position + query_tokens; }  // tokens attended, including these
};

using Batch = std::vector<BatchRow>;

}  // namespace hybridgen
