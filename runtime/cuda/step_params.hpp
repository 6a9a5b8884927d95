// The sizes of one step in device memory. Kernels read them there, so that a captured graph can be replayed
// at other lengths: a launch's arguments hold only what the step's structure fixes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hybridgen::cuda {

// One row of the batch.
struct RowParams {
  std::int32_t request = 0;
  std::int32_t slot = 0;            // whose KV stores it has
  std::int64_t first_query = 0;     // its first query token among all of the step's
  std::int64_t first_position = 0;  // of that token
  std::int64_t query_tokens = 0;
};

// One op, by op id: the fields of Work that are sizes, and of the op's row where it has one.
struct OpParams {
  std::int64_t context = 0;  // tokens of the request, including this step's
  std::int64_t first_position = 0;
  std::int64_t query_tokens = 0;
  std::int64_t first_token = 0;
  std::int64_t tokens = 0;
  std::int64_t rows_per_head = 0;
  std::int64_t evict = 0;      // 0 or 1
  std::int64_t generated = 0;  // tokens that the request has produced before this step
};

struct StepParams {
  std::uint32_t sequence = 0;  // flags of this step take this value; never 0
  std::int32_t row_count = 0;
  std::int64_t query_tokens = 0;  // over all rows
};

// Where one slot's K and V of one place lie: [kv_head][slot][head_dim]; null where there are none.
struct KvStore {
  std::byte* k = nullptr;
  std::byte* v = nullptr;
  std::int64_t slots = 0;
  std::int64_t sinks = 0;  // slots of the first tokens, before the ring
  std::int64_t first = 0;  // position of the first token that comes here
};

}  // namespace hybridgen::cuda
