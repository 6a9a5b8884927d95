// Which row of a host pool makes room for a new one: the rank of runtime/host/partial_keys.cpp.
#pragma once

#include <cstdint>

#include "core/residency/pool_eviction.hpp"
#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

struct PoolRank {
  std::int32_t younger = 1;  // 0: among the older half of the positions, which goes first
  std::int32_t rank = 0;
  std::int32_t position = 0;
  std::int32_t slot = -1;  // -1: no row
};

HYBRIDGEN_HD inline PoolRank rank_of(PoolEviction evict, std::int64_t new_position, std::int32_t position,
                                     std::int32_t reads, std::int32_t last, std::int32_t slot) {
  const bool older = evict == PoolEviction::fifo || position < new_position / 2;
  const std::int32_t rank = evict == PoolEviction::lru ? last : evict == PoolEviction::counter ? reads : 0;
  return {older ? 0 : 1, rank, position, slot};
}

HYBRIDGEN_HD inline PoolRank lower(const PoolRank& a, const PoolRank& b) {
  if (a.slot < 0 || b.slot < 0) return a.slot < 0 ? b : a;
  if (a.younger != b.younger) return a.younger < b.younger ? a : b;
  if (a.rank != b.rank) return a.rank < b.rank ? a : b;
  return a.position <= b.position ? a : b;
}

}  // namespace hybridgen::cuda
