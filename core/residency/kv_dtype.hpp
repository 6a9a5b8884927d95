// The type of the elements of K and V, and the bytes that rows of it take.
#pragma once

#include <cstdint>

#include "core/base/units.hpp"
#include "core/machine/model_shape.hpp"

namespace hybridgen {

// Files say its name; the order is of no account. int8 rows have one scale each: an element is its integer
// times the scale of its row (docs/decisions/0022).
enum class KvDtype { f16, f32, bf16, int8 };
const char* name_of(KvDtype dtype);

// One row of so many channels: K or V of one token and head. Of int8, with its fp32 scale.
constexpr Bytes row_bytes(KvDtype dtype, std::int64_t channels) {
  switch (dtype) {
    case KvDtype::f32:
      return 4 * channels;
    case KvDtype::int8:
      return channels + 4;
    case KvDtype::f16:
    case KvDtype::bf16:
      break;
  }
  return 2 * channels;
}
// K or V of one token in one layer: of one KV head, and of all.
inline Bytes head_row_bytes(const ModelShape& model, KvDtype dtype) {
  return row_bytes(dtype, model.head_dim);
}
inline Bytes kv_row_bytes(const ModelShape& model, KvDtype dtype) {
  return model.kv_heads * head_row_bytes(model, dtype);
}

// What the bounds of a page of K are held in. Of int8 rows fp16: in int8, with a scale of its own, a bound
// would be off by as much as the rows that it bounds differ.
constexpr KvDtype bounds_dtype(KvDtype dtype) {
  return dtype == KvDtype::int8 ? KvDtype::f16 : dtype;
}
// The bounds of a page, the least and the largest of every channel: of one KV head, and of all.
inline Bytes head_bounds_bytes(const ModelShape& model, KvDtype dtype) {
  return row_bytes(bounds_dtype(dtype), 2 * std::int64_t{model.head_dim});
}
inline Bytes bounds_bytes(const ModelShape& model, KvDtype dtype) {
  return model.kv_heads * head_bounds_bytes(model, dtype);
}

}  // namespace hybridgen
