// What a policy chooses at a step boundary: a few integers. Equal decisions give equal steps on any executor.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/units.hpp"
#include "core/policy/split_note.hpp"

namespace hybridgen {

struct RequestDecision {
  RequestId request;
  Tokens first_position = 0;
  Tokens query_tokens = 0;         // 1 in decode, the prompt in prefill
  Tokens device_tokens = 0;        // in the device segment when the step ends
  Tokens host_tokens = 0;          // in the host segment when the step ends
  Tokens evict_tokens = 0;         // move from the device segment to the host segment in this step
  std::int64_t rows_per_head = 0;  // host rows per query head that enter the softmax, or their bound
  SlotId slot{0};                  // whose room the request has: taken at its prefill, kept until it ends
  Tokens scan_tokens = 0;          // newest host tokens whose logits the host computes, and selects among
  Tokens drop_tokens = 0;          // leave the request for good in this step: cached ones, or of a prompt
  Tokens trim_tokens = 0;          // host tokens that leave the pools in this step; other layers keep theirs

  bool prefill() const { return query_tokens > 1 || first_position == 0; }
  friend bool operator==(const RequestDecision&, const RequestDecision&) = default;
};

// The one list of a row's fields and their names in files: visit(name, field) for each, in the order of the
// hash.
template <class Row, class Visit>
void for_each_field(Row& row, const Visit& visit) {
  visit("request", row.request.value);
  visit("slot", row.slot.value);
  visit("first_position", row.first_position);
  visit("query_tokens", row.query_tokens);
  visit("device_tokens", row.device_tokens);
  visit("host_tokens", row.host_tokens);
  visit("evict_tokens", row.evict_tokens);
  visit("scan_tokens", row.scan_tokens);
  visit("rows_per_head", row.rows_per_head);
}

// Fields that decisions recorded by older programs lack: 0 there. Neither written nor hashed where they are
// 0, so that what was recorded keeps its hash. Their order is their number in the hash: new ones go to the
// end.
template <class Row, class Visit>
void for_each_later_field(Row& row, const Visit& visit) {
  visit("drop_tokens", row.drop_tokens);
  visit("trim_tokens", row.trim_tokens);
}

struct Decision {
  StepId step;
  std::vector<RequestDecision> rows;
  std::vector<SplitNote>
      notes{};  // why, for people: neither compared nor hashed, since times differ between worlds
  friend bool operator==(const Decision& a, const Decision& b) {
    return a.step == b.step && a.rows == b.rows;
  }
};

// Adds a decision to the hash of a run.
inline void add_to(Hash64& hash, const Decision& decision) {
  hash.add(decision.step.value);
  hash.add(static_cast<std::int64_t>(decision.rows.size()));
  for (const RequestDecision& row : decision.rows) {
    for_each_field(row, [&hash](const char*, std::int64_t value) { hash.add(value); });
    std::int64_t number = 0;
    for_each_later_field(row, [&](const char*, std::int64_t value) {
      --number;  // negative, as no field is that could follow
      if (value == 0) return;
      hash.add(number);
      hash.add(value);
    });
  }
}

}  // namespace hybridgen
