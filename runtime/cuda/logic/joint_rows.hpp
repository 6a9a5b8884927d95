// The rows of logit-parallel attention for one query head as one sequence: first the device's, in token
// order, then the host's chosen ones, in the order they were packed. One softmax runs over all of them.
#pragma once

#include <cstdint>

#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

// A head's packed rows and their scores.
struct PackedRows {
  std::int64_t first_score = 0;  // among all heads' scores
  std::int64_t first_row = 0;    // among all packed rows
  std::int64_t count = 0;
};

// Which packed rows are whose. Heads of a group share their rows, each with scores of its own: scores of head
// h are [offsets[h], offsets[h + 1]), and its rows begin where its group's scores do, had each row one.
struct PackedOffsets {
  const std::int32_t* offsets = nullptr;  // [query_heads + 1]
  int group = 1;                          // query heads that share a packed row

  HYBRIDGEN_HD PackedRows of(int head) const {
    const int first = head / group * group;
    return {offsets[head], offsets[first] / group, offsets[head + 1] - offsets[head]};
  }
};

struct JointRows {
  std::int64_t device_rows = 0;
  PackedRows packed;

  HYBRIDGEN_HD std::int64_t count() const { return device_rows + packed.count; }
  HYBRIDGEN_HD bool on_device(std::int64_t i) const { return i < device_rows; }
  // Of row i, which is not on the device.
  HYBRIDGEN_HD std::int64_t packed_row(std::int64_t i) const { return packed.first_row + i - device_rows; }
  HYBRIDGEN_HD std::int64_t packed_score(std::int64_t i) const {
    return packed.first_score + i - device_rows;
  }
};

}  // namespace hybridgen::cuda
