// Which rows of K and V lie in which tier, as counts: a row is one layer's K, or V, of one token. Which token
// sits in which slot is the executor's business. Every event costs the same whatever the context length.
// Capacity holds at every event.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/machine/machine.hpp"
#include "core/residency/memory_plan.hpp"

namespace hybridgen {

// What lacks where. Returned, not thrown: the caller may wait, evict, or reject.
struct Shortage {
  TierId tier;
  Bytes wanted = 0;
  Bytes free = 0;
};

// Which half of a token's KV an extent holds: K and V may lie in different tiers.
enum class KvHalf { k, v };

class Residency {
 public:
  // row_bytes: K (or V) of one token in one layer, all KV heads.
  Residency(const Machine& machine, Bytes row_bytes, int layers, int requests);

  // What does not move: weights, staging, exchange buffers.
  std::optional<Shortage> reserve(TierId tier, Bytes bytes);
  // What kernels work in: gone from the capacity, but never among what is kept, so not in used() and peak().
  std::optional<Shortage> withhold(TierId tier, Bytes bytes);
  // Can the tier take this many more rows of a half? Changes nothing.
  std::optional<Shortage> prepare(TierId tier, std::int64_t rows) const;

  // Events. More than the capacity, or rows that are not there, is our bug: prepare() was not asked.
  void append(RequestId request, KvHalf half, TierId tier, std::int64_t rows);
  void move(RequestId request, KvHalf half, TierId from, TierId to, std::int64_t rows);
  void release(RequestId request, KvHalf half, TierId tier, std::int64_t rows);  // they are dropped
  // Rows that some layers drop of tokens that stay in others: they still count as there, and take no room.
  void trim(RequestId request, KvHalf half, TierId tier, std::int64_t rows);
  void drop(RequestId request);  // the request ended

  std::int64_t rows(RequestId request, KvHalf half, TierId tier) const;
  Tokens tokens(RequestId request, KvHalf half) const;  // over all tiers
  Bytes used(TierId tier) const { return used_.at(tier.index()); }
  Bytes peak(TierId tier) const { return peak_.at(tier.index()); }

 private:
  std::size_t index_of(RequestId request, KvHalf half, TierId tier) const;
  std::int64_t& extent(RequestId request, KvHalf half, TierId tier) {
    return extents_.at(index_of(request, half, tier));
  }
  Bytes free(TierId tier) const;
  void take(TierId tier, Bytes bytes);

  const Machine& machine_;
  Bytes row_bytes_;
  int layers_;
  std::vector<std::int64_t> extents_;  // [request][half][tier]
  std::vector<std::int64_t> trimmed_;  // [request][half][tier], of the extents' rows
  std::vector<Bytes> withheld_;
  std::vector<Bytes> used_;
  std::vector<Bytes> peak_;
};

}  // namespace hybridgen
