// Split-K: how the rows that one attention reads are shared out over blocks. The number of blocks is part of
// a captured graph and may not depend on the length; how many rows each of them gets does.
#pragma once

#include <cstdint>

#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

inline constexpr std::int64_t kRowGrain = 64;  // rows: the least that is worth a block

// Blocks that a multiprocessor holds at once, by their registers: of the kernels of tensor_rows.cuh, and of
// those whose workers take a row each (row_workers.cuh).
inline constexpr int kTensorBlocks = 2;
inline constexpr int kRowBlocks = 4;

struct RowRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// Share `split` of `splits` of [0, count): shares differ by one grain at most, begin at multiples of `grain`,
// and are empty where there are fewer grains than splits.
HYBRIDGEN_HD inline RowRange split_range(std::int64_t count, std::int64_t splits, std::int64_t split,
                                         std::int64_t grain) {
  const std::int64_t grains = (count + grain - 1) / grain;
  const std::int64_t begin = grains * split / splits * grain;
  const std::int64_t end = grains * (split + 1) / splits * grain;
  return {begin < count ? begin : count, end < count ? end : count};
}

// Splits for up to `most_rows` rows of each of `heads` independent heads, so that all blocks are on the card
// at once, but no block has less than a grain when the store is full.
constexpr int split_count(std::int64_t most_rows, std::int64_t grain, int heads, int blocks_on_card) {
  const std::int64_t useful = (most_rows + grain - 1) / grain;
  const std::int64_t wanted = blocks_on_card / heads;
  const std::int64_t splits = useful < wanted ? useful : wanted;
  return static_cast<int>(splits < 1 ? 1 : splits);
}

// Splits of logit-parallel attention, where the device's rows and the packed ones have blocks of their own.
struct JointSplits {
  int device = 1;
  int packed = 0;
  constexpr int all() const { return device + packed; }
};

// The card's blocks are shared out by the rows that each kind has at most: `device_rows` of each KV head,
// `packed_rows` of each query head.
constexpr JointSplits joint_split_counts(std::int64_t device_rows, int kv_heads, std::int64_t packed_rows,
                                         int query_heads, int blocks_on_card) {
  const std::int64_t device = device_rows * kv_heads;
  const std::int64_t packed = packed_rows * query_heads;
  if (packed == 0) return {split_count(device_rows, kRowGrain, kv_heads, blocks_on_card), 0};
  const auto of_device = static_cast<int>(blocks_on_card * device / (device + packed));
  return {split_count(device_rows, kRowGrain, kv_heads, of_device),
          split_count(packed_rows, kRowGrain, query_heads, blocks_on_card - of_device)};
}

}  // namespace hybridgen::cuda
