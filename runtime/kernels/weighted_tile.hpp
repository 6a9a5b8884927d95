// AVX2 sums of V rows for head dims 64 and 128: strips of rows, in turn from several parts of them (as
// logits_tile.hpp says why), each passed over once per three heads and 32 dimensions, twelve accumulators in
// registers. Included by attend.cpp only.
#pragma once

#include <algorithm>
#include <type_traits>

#include "runtime/kernels/logits_tile.hpp"
#include "runtime/kernels/simd_avx2.hpp"

namespace hybridgen::kernels::avx2 {

inline constexpr std::int64_t kWeighStripBytes = 4 * 1024;

// kHeads heads, kVecs vectors of each row. `ahead`, which the rows move on by `step` bytes, is asked for.
template <class T, int kHeads, int kVecs, int kDims>
HG_TARGET_AVX2 static void weigh_strip(const float* p, std::int64_t stride, const T* v, std::int64_t rows,
                                       float* out, const char* ahead, std::int64_t step) {
  constexpr int kBytes = kVecs * kWidth * static_cast<int>(sizeof(T));
  Vec sum[kHeads][kVecs];
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 8
    for (int c = 0; c < kVecs; ++c) sum[h][c] = load(out + h * kDims + c * kWidth);
  }
  for (std::int64_t n = 0; n < rows; ++n, v += kDims) {
    _mm_prefetch(ahead, _MM_HINT_T0);
    if constexpr (kBytes > 64) _mm_prefetch(ahead + step - 64, _MM_HINT_T0);
    ahead += step;
    Vec weight[kHeads];
#pragma GCC unroll 8
    for (int h = 0; h < kHeads; ++h) weight[h] = set1(p[h * stride + n]);
#pragma GCC unroll 8
    for (int c = 0; c < kVecs; ++c) {
      const Vec value = load(v + c * kWidth);
#pragma GCC unroll 8
      for (int h = 0; h < kHeads; ++h) sum[h][c] = fma(weight[h], value, sum[h][c]);
    }
  }
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 8
    for (int c = 0; c < kVecs; ++c) store(out + h * kDims + c * kWidth, sum[h][c]);
  }
}

// One strip for all heads; on the way, evenly, the strip `later` comes into the first-level cache.
template <class T, int kDims>
HG_TARGET_AVX2 static void weigh_group(const float* p, std::int64_t stride, int group, const T* v,
                                       std::int64_t rows, float* out, const T* later) {
  const int passes = (group + kHeadsPerPass - 1) / kHeadsPerPass;
  const auto* ahead = reinterpret_cast<const char*>(later);
  const auto pass_of = [&](auto heads, auto vecs) {
    constexpr int kHeads = decltype(heads)::value, kVecs = decltype(vecs)::value;
    const std::int64_t step = (kVecs * kWidth * static_cast<std::int64_t>(sizeof(T)) + passes - 1) / passes;
    for (int d = 0; d < kDims; d += kVecs * kWidth, ahead += rows * step) {
      weigh_strip<T, kHeads, kVecs, kDims>(p, stride, v + d, rows, out + d, ahead, step);
    }
    p += kHeads * stride, out += kHeads * kDims;
  };
  using std::integral_constant;
  if (group == 1) return pass_of(integral_constant<int, 1>(), integral_constant<int, 8>());
  for (int pass = 0; pass < passes; ++pass) {
    if (pass < group - 2 * passes)
      pass_of(integral_constant<int, 3>(), integral_constant<int, 4>());
    else
      pass_of(integral_constant<int, 2>(), integral_constant<int, 4>());
  }
}

template <class T, int kDims>
HG_TARGET_AVX2 static void weigh_streams(const float* p, std::int64_t stride, int group, const T* v,
                                         std::int64_t rows, float* out) {
  const std::int64_t strip =
      (group == 1 ? 2048 : kWeighStripBytes) / (kDims * static_cast<std::int64_t>(sizeof(T)));
  const std::int64_t streams = streams_of(group), part = rows / streams;
  for (std::int64_t n = 0; n < part; n += strip) {
    const std::int64_t count = std::min(strip, part - n);
    for (std::int64_t stream = 0; stream < streams; ++stream) {
      const std::int64_t at = stream * part + n;
      const std::int64_t next = stream + 1 < streams ? at + part : n + strip;
      weigh_group<T, kDims>(p + at, stride, group, v + at * kDims, count, out, v + next * kDims);
    }
  }
  const std::int64_t done = streams * part;
  if (done < rows) weigh_group<T, kDims>(p + done, stride, group, v + done * kDims, rows - done, out, v);
}

}  // namespace hybridgen::kernels::avx2
