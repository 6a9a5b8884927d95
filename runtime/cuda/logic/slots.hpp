// Which slot of a KV store holds which token. The same rule as the host executor's: in a ring of `slots`
// slots position p lies in slot p mod slots. Rows are numbered in token order: row 0 is the oldest of a
// range.
#pragma once

#include <cstdint>

#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

// `count` consecutive tokens in a ring, from slot `start` on; count <= slots.
struct RingRange {
  std::int64_t start = 0;
  std::int64_t count = 0;
  std::int64_t slots = 1;

  // Row i, 0 <= i < count. No division: kernels ask once per row.
  HYBRIDGEN_HD std::int64_t slot(std::int64_t i) const {
    const std::int64_t at = start + i;
    return at < slots ? at : at - slots;
  }
};

// Tokens [first, first + count).
HYBRIDGEN_HD inline RingRange ring_range(std::int64_t first, std::int64_t count, std::int64_t slots) {
  return {first % slots, count, slots};
}

// The newest `tokens` of `context` tokens.
HYBRIDGEN_HD inline RingRange newest_tokens(std::int64_t context, std::int64_t tokens, std::int64_t slots) {
  return ring_range(context - tokens, tokens, slots);
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
