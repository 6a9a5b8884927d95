// Split-K: how the rows that one attention reads are shared out over blocks. The number of blocks is part of
// a captured graph and may not depend on the length; how many rows each of them gets does.
#pragma once

#include <cstdint>

#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

inline constexpr std::int64_t kRowGrain = 64;  // rows: the least that is worth a block

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

// Splits for up to `most_rows` rows of each of `heads` independent heads, so that the card is filled but no
// block has less than a grain when the store is full.
constexpr int split_count(std::int64_t most_rows, std::int64_t grain, int heads, int blocks_on_card) {
  const std::int64_t useful = (most_rows + grain - 1) / grain;
  const std::int64_t wanted = (blocks_on_card + heads - 1) / heads;
  const std::int64_t splits = useful < wanted ? useful : wanted;
  return static_cast<int>(splits < 1 ? 1 : splits);
}

}  // namespace hybridgen::cuda
