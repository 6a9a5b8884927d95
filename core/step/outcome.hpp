// A count known only while executing. Declared and bounded when planned; the policy sees the count, the
// executor keeps the identities.
#pragma once

#include <cstdint>

#include "core/base/ids.hpp"

namespace hybridgen {

enum class OutcomeKind {
  selected_rows,    // V rows that go up, summed over a request's query heads (or KV groups) in one layer
  end_of_sequence,  // 1 when the sampled token ends the request
};
const char* name_of(OutcomeKind kind);

struct Outcome {
  OutcomeId id;
  OutcomeKind kind = OutcomeKind::selected_rows;
  OpId producer;
  RequestId request;
  std::int32_t layer = -1;
  std::int64_t least = 0;  // the count is never below
  std::int64_t bound = 0;  // nor above
};

}  // namespace hybridgen
