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

enum class KvType : std::uint8_t { f16, f32, bf16 };

constexpr std::int64_t bytes_of(KvType type) {
  return type == KvType::f32 ? 4 : 2;
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
  return static_cast<const std::byte*>(rows) + index * head_dim * bytes_of(type);
}

}  // namespace hybridgen::kernels
