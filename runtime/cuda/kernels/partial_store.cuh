// What the card keeps of one slot's host rows in one layer to choose among them by a few columns of the
// skewed K: see runtime/host/partial_keys.hpp. One block of each array per KV head.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hybridgen::cuda {

// Which row lies where in the host's pool, by slot.
struct PoolStore {
  std::int32_t* position = nullptr;    // [kv_head][slots]; -1: free
  std::int32_t* reads = nullptr;       // [kv_head][slots], by query heads, since the row came
  std::int32_t* last = nullptr;        // [kv_head][slots], position of the token that read it last; -1: none
  std::int32_t* free = nullptr;        // [kv_head][slots], given up and not taken again, the next one last
  std::int32_t* taken = nullptr;       // [kv_head]: slots [0, taken) have been taken
  std::int32_t* free_count = nullptr;  // [kv_head]
  std::int32_t* newest = nullptr;      // [kv_head]: the slot of the step's new row
};

struct PartialStore {
  float* skew = nullptr;      // [kv_head][columns][head_dim], the columns that the prompt chose
  std::byte* keys = nullptr;  // [kv_head][slots][width] in the KV type
  PoolStore pool;
  std::int64_t slots = 0;
  int columns = 0;
  int width = 0;  // columns, rounded up; the rest is 0
};

}  // namespace hybridgen::cuda
