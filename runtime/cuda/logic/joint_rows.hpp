// The rows of logit-parallel attention for one query head as one sequence: first the device's, in token
// order, then the host's chosen ones, in the order they were packed. One softmax runs over all of them.
#pragma once

#include <cstdint>

#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

struct JointRows {
  std::int64_t device_rows = 0;
  std::int64_t host_first = 0;  // the head's first row among the packed rows of all heads
  std::int64_t host_rows = 0;

  HYBRIDGEN_HD std::int64_t count() const { return device_rows + host_rows; }
  HYBRIDGEN_HD bool on_device(std::int64_t i) const { return i < device_rows; }
  // Row i, which is not on the device, among the packed rows and their scores.
  HYBRIDGEN_HD std::int64_t packed_row(std::int64_t i) const { return host_first + i - device_rows; }
};

// Packed rows of head h are [offsets[h], offsets[h + 1]).
HYBRIDGEN_HD inline JointRows joint_rows(std::int64_t device_rows, const std::int32_t* offsets, int head) {
  return {device_rows, offsets[head], offsets[head + 1] - offsets[head]};
}

}  // namespace hybridgen::cuda
