// Logits multiply integers: the row widened to 16 bits, with a query of 16 bits, summed in 32, which is
// exact. Where a vector of fp16 takes two conversions and two multiply-adds, these take one and two. Sums of
// V rows are of floats: weights span too many sizes for 16 bits. Rows are taken in turn from either half of
// them and a little ahead, as attend.inl says why.
#include "runtime/kernels/attend_int8.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/base/check.hpp"
#include "runtime/kernels/int8_rows.hpp"
#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/row_extent.hpp"
#include "runtime/kernels/simd.hpp"

namespace hybridgen::kernels {
namespace {

constexpr int kMostHeads = 8;  // at once; a larger group takes several turns over the rows
constexpr int kMostDims = 512;
constexpr float kMostQuery = 32767;

// Heads' queries in 16 bits, and what a sum of products has to be multiplied by besides the row's scale.
struct Queries {
  alignas(64) std::int16_t q[kMostHeads * kMostDims];
  float factor[kMostHeads];
};

}  // namespace

namespace scalar {
static void round_query(const float* q, int head_dim, float scale, std::int16_t* to, float& factor) {
  const auto [largest, poison] = extent_of(q, head_dim);
  const bool zero = !(largest > kLeastRow) || poison != 0;
  const float steps = zero ? 0 : kMostQuery / largest;
  for (int d = 0; d < head_dim; ++d) {
    to[d] = zero ? std::int16_t{0} : static_cast<std::int16_t>(std::lrintf(q[d] * steps));
  }
  factor = largest / kMostQuery * scale + poison;
}

static void logits(const Queries& queries, int heads, int head_dim, const std::int8_t* k, std::int64_t rows,
                   float* scores, std::int64_t stride) {
  for (std::int64_t n = 0; n < rows; ++n, k += head_dim + kScaleBytes) {
    for (int h = 0; h < heads; ++h) {
      std::int32_t sum = 0;
      for (int d = 0; d < head_dim; ++d) sum += queries.q[h * head_dim + d] * k[d];
      scores[h * stride + n] = static_cast<float>(sum) * (scale_of(k, head_dim) * queries.factor[h]);
    }
  }
}

static void weighted_v(const float* p, std::int64_t stride, int heads, int head_dim, const std::int8_t* v,
                       std::int64_t rows, float* out) {
  for (std::int64_t n = 0; n < rows; ++n, v += head_dim + kScaleBytes) {
    for (int h = 0; h < heads; ++h) {
      const float weight = p[h * stride + n] * scale_of(v, head_dim);
      for (int d = 0; d < head_dim; ++d) out[h * head_dim + d] += weight * static_cast<float>(v[d]);
    }
  }
}

static void weighted_v_at(const float* p, const std::int32_t* index, std::int64_t count, int head_dim,
                          const std::int8_t* v, float* out) {
  for (std::int64_t j = 0; j < count; ++j) {
    weighted_v(p + j, 0, 1, head_dim, v + index[j] * std::int64_t{head_dim + kScaleBytes}, 1, out);
  }
}
}  // namespace scalar

namespace avx2 {

#define HG_INLINE HG_TARGET_AVX2 __attribute__((always_inline)) inline

static constexpr int kTile = 4;             // rows
static constexpr std::int64_t kStrip = 32;  // rows that stay in the first-level cache

HG_TARGET_AVX2 static void round_query(const float* q, int head_dim, float scale, std::int16_t* to,
                                       float& factor) {
  const auto [largest, poison] = extent_of(q, head_dim);
  const bool sound = largest > kLeastRow && poison == 0;
  const Vec steps = set1(sound ? kMostQuery / largest : 0);
  if (!sound) std::fill_n(to, head_dim, std::int16_t{0});
  for (int d = 0; sound && d < head_dim; d += 2 * kWidth) {
    const __m256i low = _mm256_cvtps_epi32(mul(load(q + d), steps));
    const __m256i high = _mm256_cvtps_epi32(mul(load(q + d + kWidth), steps));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + d),
                        _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8));
  }
  factor = largest / kMostQuery * scale + poison;
}

HG_INLINE __m256i load16(const std::int16_t* q) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q));
}
HG_INLINE __m256i widen16(const std::int8_t* k) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(k)));
}
HG_INLINE Vec widen(const std::int8_t* v) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(v))));
}

// The lanes' sums of four vectors, side by side, as floats.
HG_INLINE __m128 sums_of(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
  const __m256i cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
  const __m256i all = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
  return _mm_cvtepi32_ps(_mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)));
}

// Four rows and kHeads (1 or 2) heads, as many as leave registers for the queries: Zen 3 adds a product of 16
// in 0.75 cycles where its query is in a register and in 1.5 where it comes from memory beside an unaligned
// row. kHeadDim 0: known only at run time.
template <int kHeads, int kHeadDim>
HG_INLINE void logits_tile(const std::int16_t* q, const float* factor, int head_dim, const std::int8_t* k,
                           float* scores, std::int64_t stride) {
  const int dims = kHeadDim ? kHeadDim : head_dim, row = dims + static_cast<int>(kScaleBytes);
  __m256i sum[kHeads][kTile];
#pragma GCC unroll 8
  for (int i = 0; i < kHeads * kTile; ++i) sum[i / kTile][i % kTile] = _mm256_setzero_si256();
#pragma GCC unroll 8
  for (int d = 0; d < dims; d += 16) {
    __m256i query[kHeads];
#pragma GCC unroll 2
    for (int h = 0; h < kHeads; ++h) {
      query[h] = load16(q + h * dims + d);
      asm volatile("" : "+x"(query[h]));  // one load for four products
    }
#pragma GCC unroll 4
    for (int r = 0; r < kTile; ++r) {
      const __m256i wide = widen16(k + r * row + d);
#pragma GCC unroll 2
      for (int h = 0; h < kHeads; ++h) {
        sum[h][r] = _mm256_add_epi32(sum[h][r], _mm256_madd_epi16(wide, query[h]));
        asm volatile("" : "+x"(sum[h][r]));  // or all products come first, which no registers hold
      }
    }
  }
  const __m128 scales = _mm_setr_ps(scale_of(k, dims), scale_of(k + row, dims), scale_of(k + 2 * row, dims),
                                    scale_of(k + 3 * row, dims));
#pragma GCC unroll 2
  for (int h = 0; h < kHeads; ++h) {
    const __m128 four = sums_of(sum[h][0], sum[h][1], sum[h][2], sum[h][3]);
    _mm_storeu_ps(scores + h * stride, _mm_mul_ps(four, _mm_mul_ps(scales, _mm_set1_ps(factor[h]))));
  }
}

// What is to be asked for on the way: `lines` per tile.
struct Ahead {
  const char* from;
  std::int64_t lines;
};

template <int kHeads, int kHeadDim>
HG_TARGET_AVX2 static void logits_strip(const std::int16_t* q, const float* factor, int head_dim,
                                        const std::int8_t* k, std::int64_t rows, float* scores,
                                        std::int64_t stride, Ahead ahead) {
  const std::int64_t tile = kTile * ((kHeadDim ? kHeadDim : head_dim) + kScaleBytes);
  for (std::int64_t n = 0; n < rows; n += kTile, k += tile) {
    for (std::int64_t i = 0; i < ahead.lines; ++i, ahead.from += 64) _mm_prefetch(ahead.from, _MM_HINT_T0);
    logits_tile<kHeads, kHeadDim>(q, factor, head_dim, k, scores + n, stride);
  }
}

// All heads over one strip, in pairs; on the way, evenly, comes what lies at `later`.
template <int kHeadDim>
HG_TARGET_AVX2 static void logits_heads(const Queries& queries, int heads, int head_dim, const std::int8_t* k,
                                        std::int64_t rows, float* scores, std::int64_t stride,
                                        const std::int8_t* later) {
  const std::int64_t lines = (kTile * (head_dim + kScaleBytes) + 63) / 64, passes = (heads + 1) / 2;
  Ahead ahead{reinterpret_cast<const char*>(later), (lines + passes - 1) / passes};
  for (int head = 0; head < heads; head += 2) {
    const auto strip = head + 1 < heads ? logits_strip<2, kHeadDim> : logits_strip<1, kHeadDim>;
    strip(queries.q + head * head_dim, queries.factor + head, head_dim, k, rows, scores + head * stride,
          stride, ahead);
    ahead.from += rows / kTile * ahead.lines * 64;
  }
}

HG_TARGET_AVX2 static void logits(const Queries& queries, int heads, int head_dim, const std::int8_t* k,
                                  std::int64_t rows, float* scores, std::int64_t stride) {
  const auto go = head_dim == 64 ? logits_heads<64> : head_dim == 128 ? logits_heads<128> : logits_heads<0>;
  const std::int64_t half = rows / 2 / kTile * kTile, row = head_dim + kScaleBytes;
  for (std::int64_t n = 0; n < half; n += kStrip) {
    const std::int64_t count = std::min(kStrip, half - n);
    const std::int8_t* first = k + n * row;
    const std::int8_t* second = first + half * row;
    go(queries, heads, head_dim, first, count, scores + n, stride, second);
    go(queries, heads, head_dim, second, count, scores + half + n, stride, first + kStrip * row);
  }
  scalar::logits(queries, heads, head_dim, k + 2 * half * row, rows - 2 * half, scores + 2 * half, stride);
}

// kHeads heads over kVecs vectors of each row; the rows' scales are in the weights already. `ahead`, which
// the rows move on by `step` bytes, is asked for. As weigh_strip of weighted_tile.hpp, for any head dim, with
// weights of one strip and a scale behind each row.
template <int kHeads, int kVecs>
HG_TARGET_AVX2 static void weigh_strip_int8(const float* weights, int head_dim, const std::int8_t* v,
                                            std::int64_t rows, float* out, const char* ahead,
                                            std::int64_t step) {
  Vec sum[kHeads][kVecs];
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 8
    for (int c = 0; c < kVecs; ++c) sum[h][c] = load(out + h * head_dim + c * kWidth);
  }
  for (std::int64_t n = 0; n < rows; ++n, v += head_dim + kScaleBytes, ahead += step) {
    _mm_prefetch(ahead, _MM_HINT_T0);
    Vec weight[kHeads];
#pragma GCC unroll 8
    for (int h = 0; h < kHeads; ++h) weight[h] = set1(weights[h * kStrip + n]);
#pragma GCC unroll 8
    for (int c = 0; c < kVecs; ++c) {
      const Vec value = widen(v + c * kWidth);
#pragma GCC unroll 8
      for (int h = 0; h < kHeads; ++h) sum[h][c] = fma(weight[h], value, sum[h][c]);
    }
  }
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
#pragma GCC unroll 8
    for (int c = 0; c < kVecs; ++c) store(out + h * head_dim + c * kWidth, sum[h][c]);
  }
}

// One strip for all heads; on the way, evenly, comes the strip at `later`.
HG_TARGET_AVX2 static void weigh(const float* p, std::int64_t stride, int heads, int head_dim,
                                 const std::int8_t* v, std::int64_t rows, float* out,
                                 const std::int8_t* later) {
  float weights[kMostHeads * kStrip];
  for (std::int64_t n = 0; n < rows; ++n) {
    const float scale = scale_of(v + n * (head_dim + kScaleBytes), head_dim);
    for (int h = 0; h < heads; ++h) weights[h * kStrip + n] = p[h * stride + n] * scale;
  }
  const int passes = (heads + kHeadsPerPass - 1) / kHeadsPerPass;
  const auto* ahead = reinterpret_cast<const char*>(later);
  const auto pass_of = [&](auto count, int head) {
    constexpr int kHeads = decltype(count)::value, kVecs = kHeads == 1 ? 8 : 4;
    const auto go = [&](auto strip, int vecs, int d) {
      const std::int64_t step = (vecs * kWidth + passes - 1) / passes;
      strip(weights + head * kStrip, head_dim, v + d, rows, out + head * head_dim + d, ahead, step);
      ahead += rows * step;
    };
    int d = 0;
    for (; d + kVecs * kWidth <= head_dim; d += kVecs * kWidth) go(weigh_strip_int8<kHeads, kVecs>, kVecs, d);
    for (; d < head_dim; d += 2 * kWidth) go(weigh_strip_int8<kHeads, 2>, 2, d);
  };
  if (heads == 1) return pass_of(std::integral_constant<int, 1>(), 0);
  const int threes = heads - 2 * passes;
  for (int pass = 0, head = 0; pass < passes; ++pass) {
    if (pass < threes) {
      pass_of(std::integral_constant<int, 3>(), head);
    } else {
      pass_of(std::integral_constant<int, 2>(), head);
    }
    head += pass < threes ? 3 : 2;
  }
}

HG_TARGET_AVX2 static void weighted_v(const float* p, std::int64_t stride, int heads, int head_dim,
                                      const std::int8_t* v, std::int64_t rows, float* out) {
  const std::int64_t half = rows / 2, row = head_dim + kScaleBytes;
  for (std::int64_t n = 0; n < half; n += kStrip) {
    const std::int64_t count = std::min(kStrip, half - n);
    const std::int8_t* first = v + n * row;
    const std::int8_t* second = first + half * row;
    weigh(p + n, stride, heads, head_dim, first, count, out, second);
    weigh(p + half + n, stride, heads, head_dim, second, count, out, first + kStrip * row);
  }
  if (rows % 2 == 1) weigh(p + rows - 1, stride, heads, head_dim, v + (rows - 1) * row, 1, out, v);
}

HG_TARGET_AVX2 static void weighted_v_at(const float* p, const std::int32_t* index, std::int64_t count,
                                         int head_dim, const std::int8_t* v, float* out) {
  constexpr std::int64_t kAhead = 16;  // rows; the limit of a gather is how many misses are under way
  const std::int64_t row = head_dim + kScaleBytes;
  for (std::int64_t j = 0; j < count; ++j) {
    if (j + kAhead < count) {
      const auto* later = reinterpret_cast<const char*>(v + index[j + kAhead] * row);
      for (std::int64_t byte = 0; byte < row; byte += 64) _mm_prefetch(later + byte, _MM_HINT_T0);
    }
    const std::int8_t* from = v + index[j] * row;
    const Vec weight = set1(p[j] * scale_of(from, head_dim));
    for (int d = 0; d < head_dim; d += kWidth) store(out + d, fma(weight, widen(from + d), load(out + d)));
  }
}

#undef HG_INLINE

}  // namespace avx2

void logits_int8(const float* q, int group, int head_dim, const void* k, std::int64_t rows, float scale,
                 float* scores, std::int64_t stride) {
  HG_CHECK(head_dim <= kMostDims,
           "int8 logits take a head_dim of at most " << kMostDims << ", not " << head_dim);
  const auto round_query = pick(scalar::round_query, avx2::round_query, avx2::round_query);
  const auto logits = pick(scalar::logits, avx2::logits, avx2::logits);
  Queries queries;
  for (int first = 0; first < group; first += kMostHeads) {
    const int heads = std::min(kMostHeads, group - first);
    for (int h = 0; h < heads; ++h) {
      round_query(q + std::int64_t{first + h} * head_dim, head_dim, scale, queries.q + h * head_dim,
                  queries.factor[h]);
    }
    logits(queries, heads, head_dim, static_cast<const std::int8_t*>(k), rows, scores + first * stride,
           stride);
  }
}

void weighted_v_int8(const float* p, std::int64_t stride, int group, int head_dim, const void* v,
                     std::int64_t rows, float* out) {
  const auto weighted = pick(scalar::weighted_v, avx2::weighted_v, avx2::weighted_v);
  for (int first = 0; first < group; first += kMostHeads) {
    weighted(p + first * stride, stride, std::min(kMostHeads, group - first), head_dim,
             static_cast<const std::int8_t*>(v), rows, out + std::int64_t{first} * head_dim);
  }
}

void weighted_v_at_int8(const float* p, const std::int32_t* index, std::int64_t count, int head_dim,
                        const void* v, float* out) {
  const auto weighted = pick(scalar::weighted_v_at, avx2::weighted_v_at, avx2::weighted_v_at);
  weighted(p, index, count, head_dim, static_cast<const std::int8_t*>(v), out);
}

}  // namespace hybridgen::kernels
