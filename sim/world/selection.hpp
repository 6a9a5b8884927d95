// A selection whose outcome is a count: what it may choose, among what, and for whom.
#pragma once

#include "core/machine/model_shape.hpp"
#include "core/step/step.hpp"

namespace hybridgen {

struct Selection {
  SelectRule rule = SelectRule::top_k;
  std::int64_t alpha_milli = 0;  // threshold
  std::int32_t layer = 0;
  std::int64_t heads = 1;          // whose counts are summed: query heads, or KV heads
  int group = 1;                   // query heads whose choices are united in one of these
  std::int64_t rows_per_head = 1;  // that a query head chooses, or at most
  Tokens tokens = 1;               // rows that it chooses among
};

// Of an outcome of kind selected_rows, from the op that produces it. BadInput where its bounds are those of
// no selection that is known here.
Selection selection_of(const Step& step, const Outcome& outcome, const ModelShape& model);

}  // namespace hybridgen
