// Which instantiation of an attention kernel a shape takes. Few on purpose: they are most of the compile
// time.
#pragma once

#include <cuda_fp16.h>

#include <stdexcept>

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

[[noreturn]] inline void refuse_heads(const HeadShape& heads) {
  throw std::logic_error(
      "CUDA attention takes head_dim 64 or 128 and at most 8 query heads per KV head, not " +
      std::to_string(heads.head_dim) + " and " + std::to_string(heads.group()));
}

// Calls with_type.template operator()<T, head_dim>().
template <class Call>
void by_type(KvType type, const HeadShape& heads, const Call& call) {
  const bool narrow = heads.head_dim == 64;
  if (!narrow && heads.head_dim != 128) refuse_heads(heads);
  if (type == KvType::f16) {
    narrow ? call.template operator()<__half, 64>() : call.template operator()<__half, 128>();
  } else if (type == KvType::bf16) {
    narrow ? call.template operator()<kernels::Bfloat, 64>()
           : call.template operator()<kernels::Bfloat, 128>();
  } else {
    narrow ? call.template operator()<float, 64>() : call.template operator()<float, 128>();
  }
}

// Calls call.template operator()<T, head_dim, most query heads of a KV head>().
template <class Call>
void by_type_and_group(KvType type, const HeadShape& heads, const Call& call) {
  if (heads.group() < 1 || heads.group() > kMostGroup) refuse_heads(heads);
  by_type(type, heads, [&]<class T, int kDim>() {
    heads.group() <= 4 ? call.template operator()<T, kDim, 4>()
                       : call.template operator()<T, kDim, kMostGroup>();
  });
}

}  // namespace hybridgen::cuda
