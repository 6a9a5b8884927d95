// The kernels' name of a plan's type of K and V.
#pragma once

#include "core/residency/memory_plan.hpp"
#include "runtime/kernels/kv_type.hpp"
#include "runtime/kernels/page_bounds.hpp"

namespace hybridgen {

constexpr kernels::KvType kv_type_of(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::f16:
      return kernels::KvType::f16;
    case KvDtype::bf16:
      return kernels::KvType::bf16;
    case KvDtype::int8:
      return kernels::KvType::int8;
    case KvDtype::f32:
      break;
  }
  return kernels::KvType::f32;
}

// A plan's bytes are those that the kernels read: each side says them by itself, and here they meet.
constexpr bool same_bytes(KvDtype dtype) {
  const kernels::KvType type = kv_type_of(dtype);
  return row_bytes(dtype, 128) == kernels::row_bytes(type, 128) &&
         kv_type_of(bounds_dtype(dtype)) == kernels::bounds_type(type);
}
static_assert(same_bytes(KvDtype::f16) && same_bytes(KvDtype::bf16) && same_bytes(KvDtype::f32) &&
              same_bytes(KvDtype::int8));

}  // namespace hybridgen
