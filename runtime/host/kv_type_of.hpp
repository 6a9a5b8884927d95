// The kernels' name of a plan's type of K and V.
#pragma once

#include "core/residency/memory_plan.hpp"
#include "runtime/kernels/kv_type.hpp"

namespace hybridgen {

inline kernels::KvType kv_type_of(KvDtype dtype) {
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

}  // namespace hybridgen
