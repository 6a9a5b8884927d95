// Decode attention over rows that were kept, in slots of no order: what `attend` computes, and besides the
// mass that each row was given, and sinks that see the query at another place. Same types, threads and
// scratch rules as attend.hpp.
#pragma once

#include <cstdint>

#include "runtime/kernels/attend.hpp"

namespace hybridgen::kernels {

// Floats of scratch that attend_kept needs.
constexpr std::int64_t attend_kept_scratch(int group, std::int64_t rows) {
  return attend_scratch(group, rows);
}

// out[g] = softmax(scale * q[g] . K) V over all rows. The first `sinks` rows see sink_q instead of q where it
// is not null: rotary logits depend on distances alone, so a query turned to another place is all that it
// takes to move a row. mass[n], where it is not null, grows by the weights of row n, summed over the group.
void attend_kept(KvType type, const float* q, const float* sink_q, std::int64_t sinks, int group,
                 int head_dim, const KvSpan& rows, float scale, float* scratch, float* out, float* mass);

}  // namespace hybridgen::kernels
