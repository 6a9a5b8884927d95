#include "runtime/kernels/pack.hpp"

#include <algorithm>
#include <cstring>

namespace hybridgen::kernels {
namespace {

// Gathers are limited by how many misses are under way: ask for rows this far ahead, but for no more lines
// than the core can wait for, or the queue of prefetches itself is waited for. Both measured.
constexpr std::int64_t ahead_of(std::int64_t row_bytes) {
  return std::clamp<std::int64_t>(5120 / row_bytes, 8, 32);
}

const std::byte* find_row(const RowSpan* spans, int span_count, std::int64_t row_bytes, std::int64_t index) {
  int s = 0;
  while (s + 1 < span_count && index >= spans[s].count) index -= spans[s++].count;
  return static_cast<const std::byte*>(spans[s].rows) + index * row_bytes;
}

// kBytes 0: row size known only at run time.
template <std::int64_t kBytes>
void pack(std::int64_t bytes, const RowSpan* spans, int span_count, const std::int32_t* indices,
          std::int64_t count, std::byte* target) {
  const std::int64_t row_bytes = kBytes ? kBytes : bytes;
  const std::int64_t ahead_rows = ahead_of(row_bytes);
  const auto ask_for = [&](std::int64_t j) {
    const std::byte* row = find_row(spans, span_count, row_bytes, indices[j]);
    for (std::int64_t b = 0; b < row_bytes; b += 64) __builtin_prefetch(row + b, 0, 3);
  };
  for (std::int64_t j = 0; j < std::min(ahead_rows, count); ++j) ask_for(j);
  for (std::int64_t j = 0; j < count; ++j) {
    if (j + ahead_rows < count) ask_for(j + ahead_rows);
    const std::byte* row = find_row(spans, span_count, row_bytes, indices[j]);
    std::memcpy(target + j * row_bytes, row, static_cast<std::size_t>(row_bytes));
  }
}

}  // namespace

void pack_rows(KvType type, int head_dim, const RowSpan* spans, int span_count, const std::int32_t* indices,
               std::int64_t count, void* target) {
  const std::int64_t bytes = row_bytes(type, head_dim);
  auto* to = static_cast<std::byte*>(target);
  switch (bytes) {  // a copy of constant size needs no call
    case 64:
      return pack<64>(bytes, spans, span_count, indices, count, to);
    case 64 + kScaleBytes:
      return pack<64 + kScaleBytes>(bytes, spans, span_count, indices, count, to);
    case 128 + kScaleBytes:
      return pack<128 + kScaleBytes>(bytes, spans, span_count, indices, count, to);
    case 128:
      return pack<128>(bytes, spans, span_count, indices, count, to);
    case 256:
      return pack<256>(bytes, spans, span_count, indices, count, to);
    case 512:
      return pack<512>(bytes, spans, span_count, indices, count, to);
    default:
      return pack<0>(bytes, spans, span_count, indices, count, to);
  }
}

}  // namespace hybridgen::kernels
