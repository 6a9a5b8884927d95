// What an op moves and computes, typed, so that any executor's world can say how long it takes.
// Counted: weights, K and V rows, queries, scores, packed rows. Not counted: hidden states, which stay in
// cache.
#pragma once

#include "core/base/inline_vec.hpp"
#include "core/step/amount.hpp"

namespace hybridgen {

enum class Direction { read, write };

// Bytes that the op's processor reads or writes in place. row_bytes > 0: a gather of rows of that size.
struct Access {
  TierId tier;
  Direction direction = Direction::read;
  Amount bytes;
  Bytes row_bytes = 0;
};

// Bytes that move from one tier to another.
struct Copy {
  TierId from;
  TierId to;
  Amount bytes;
};

struct Traffic {
  Amount flops;
  Amount items;  // elements scanned by a selection
  InlineVec<Access, 6> accesses;
  InlineVec<Copy, 2> copies;
};

}  // namespace hybridgen
