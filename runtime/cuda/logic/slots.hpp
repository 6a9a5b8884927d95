// Which slot of a KV store holds which token. The same rule as the host executor's: the first `sinks` slots
// hold the first tokens for good, the others are a ring, in which position p lies in slot p mod slots. Rows
// are numbered in token order: row 0 is the oldest of a range.
#pragma once

#include <cstdint>

#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

// The slot of one position.
HYBRIDGEN_HD inline std::int64_t segment_slot(std::int64_t position, std::int64_t slots, std::int64_t sinks) {
  return position < sinks ? position : sinks + (position - sinks) % (slots - sinks);
}

// Row i lies in slot i for i < sinks, the others in a ring from `start` on; count <= slots.
struct RingRange {
  std::int64_t start = 0;
  std::int64_t count = 0;
  std::int64_t slots = 1;
  std::int64_t sinks = 0;

  // Row i, 0 <= i < count. No division: kernels ask once per row.
  HYBRIDGEN_HD std::int64_t slot(std::int64_t i) const {
    if (i < sinks) return i;
    const std::int64_t at = start + i;
    return at < slots ? at : at - slots + sinks;
  }
};

// The newest `tokens` of `context` tokens; before them, of these, the first ones where the store keeps them.
HYBRIDGEN_HD inline RingRange newest_tokens(std::int64_t context, std::int64_t tokens, std::int64_t slots,
                                            std::int64_t sinks = 0) {
  return {(context - tokens) % (slots - sinks), tokens, slots, sinks};
}

// Tokens from position `first` on in pages of `page_tokens` slots; pages[j] is where the j-th page lies.
struct PagedRange {
  const std::int32_t* pages = nullptr;
  std::int64_t page_tokens = 1;
  std::int64_t first = 0;
  std::int64_t count = 0;

  HYBRIDGEN_HD std::int64_t slot(std::int64_t i) const {
    const std::int64_t position = first + i;
    return pages[position / page_tokens] * page_tokens + position % page_tokens;
  }
};

// Rows of a range that a query token may see under a causal mask: those at positions up to its own. The
// range's row 0 stands at position `first`.
HYBRIDGEN_HD inline std::int64_t causal_rows(std::int64_t first, std::int64_t count,
                                             std::int64_t query_position) {
  const std::int64_t rows = query_position - first + 1;
  return rows < 0 ? 0 : (rows < count ? rows : count);
}

}  // namespace hybridgen::cuda
