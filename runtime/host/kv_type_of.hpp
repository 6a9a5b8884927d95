// The kernels' name of a plan's type of K and V.
#pragma once

#include "core/residency/memory_plan.hpp"
#include "runtime/kernels/kv_type.hpp"

namespace hybridgen {

inline kernels::KvType kv_type_of(KvDtype dtype) {
  if (dtype == KvDtype::bf16) return kernels::KvType::bf16;
  return dtype == KvDtype::f16 ? kernels::KvType::f16 : kernels::KvType::f32;
}

}  // namespace hybridgen
