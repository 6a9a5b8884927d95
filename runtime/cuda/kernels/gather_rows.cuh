// Rows of one KV half by index: packing on the GPU from a device store or straight from mapped host memory.
// The host lane packs by itself today; this measures the other way (bench-machine's mapped gathers).
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct GatherRowsArgs {
  const std::byte* store = nullptr;  // [kv_head][slots][row], on the device or mapped
  std::int64_t slots = 0;
  const std::int32_t* slot_of = nullptr;  // by packed row
  const std::int32_t* offsets = nullptr;  // [query_heads + 1]: packed rows of a query head
  int query_heads = 0;
  int group = 1;      // query heads per KV head
  int row_bytes = 0;  // a multiple of 16
  std::byte* packed = nullptr;
};
// packed[j] = store[head / group][slot_of[j]] for the rows j of every head.
void gather_rows(const GatherRowsArgs& args, int blocks_per_head, cudaStream_t stream);

}  // namespace hybridgen::cuda
