// Element types of the kernels and the views that hand KV rows to them.
// A KV segment holds, per (layer, KV head), contiguous rows [slot][head_dim]. A ring buffer is handed over as
// up to two spans; the concatenation of the spans is the token order. Kernels own nothing and keep no
// pointer.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hybridgen::kernels {

// IEEE binary16 as stored; arithmetic is always done in fp32.
struct Half {
  std::uint16_t bits;
};
static_assert(sizeof(Half) == 2);

// bfloat16 as stored: the upper half of an fp32.
struct Bfloat {
  std::uint16_t bits;
};
static_assert(sizeof(Bfloat) == 2);

// int8: a row is its head_dim integers and behind them the fp32 scale that each of them is to be multiplied
// by.
enum class KvType : std::uint8_t { f16, f32, bf16, int8 };

// The scale of an int8 row.
inline constexpr std::int64_t kScaleBytes = 4;

constexpr std::int64_t row_bytes(KvType type, std::int64_t channels) {
  switch (type) {
    case KvType::f32:
      return 4 * channels;
    case KvType::int8:
      return channels + kScaleBytes;
    case KvType::f16:
    case KvType::bf16:
      break;
  }
  return 2 * channels;
}

// `count` contiguous rows of K or of V of one KV head; element type and head_dim are given beside it.
struct RowSpan {
  const void* rows = nullptr;
  std::int64_t count = 0;
};

// The same `count` tokens in K and in V.
struct KvSpan {
  const void* k = nullptr;
  const void* v = nullptr;
  std::int64_t count = 0;
};

// The row `index` rows behind `rows`.
inline const void* row_at(const void* rows, KvType type, int head_dim, std::int64_t index) {
  return static_cast<const std::byte*>(rows) + index * row_bytes(type, head_dim);
}

}  // namespace hybridgen::kernels
