#include "runtime/kernels/int8_rows.hpp"

#include <cmath>

#include "core/base/check.hpp"
#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/row_extent.hpp"
#include "runtime/kernels/simd.hpp"

namespace hybridgen::kernels {

namespace scalar {
static void load_int8(int head_dim, const std::int8_t* row, float* to) {
  const float scale = scale_of(row, head_dim);
  for (int d = 0; d < head_dim; ++d) to[d] = static_cast<float>(row[d]) * scale;
}

static void store_int8(int head_dim, const float* from, std::int8_t* row) {
  const auto [largest, poison] = extent_of(from, head_dim);
  const bool sound = largest > kLeastRow && poison == 0;
  for (int d = 0; d < head_dim; ++d) {
    row[d] = sound ? static_cast<std::int8_t>(std::lrintf(from[d] * (kMostInt8 / largest))) : std::int8_t{0};
  }
  const float scale = (sound ? largest / kMostInt8 : 0) + poison;
  std::memcpy(row + head_dim, &scale, sizeof scale);
}
}  // namespace scalar

namespace avx2 {
HG_TARGET_AVX2 static void load_int8(int head_dim, const std::int8_t* row, float* to) {
  const Vec scale = set1(scale_of(row, head_dim));
  for (int d = 0; d < head_dim; d += kWidth) {
    const __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + d)));
    store(to + d, mul(_mm256_cvtepi32_ps(wide), scale));
  }
}

HG_TARGET_AVX2 static void store_int8(int head_dim, const float* from, std::int8_t* row) {
  const auto [largest, poison] = extent_of(from, head_dim);
  const bool sound = largest > kLeastRow && poison == 0;
  const Vec factor = set1(sound ? kMostInt8 / largest : 0);
  if (!sound) std::memset(row, 0, static_cast<std::size_t>(head_dim));
  for (int d = 0; sound && d < head_dim; d += 2 * kWidth) {
    const __m256i low = _mm256_cvtps_epi32(mul(load(from + d), factor));
    const __m256i high = _mm256_cvtps_epi32(mul(load(from + d + kWidth), factor));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row + d), bytes);
  }
  const float scale = (sound ? largest / kMostInt8 : 0) + poison;
  std::memcpy(row + head_dim, &scale, sizeof scale);
}
}  // namespace avx2

namespace {

void check_row(int head_dim) {
  HG_CHECK(head_dim > 0 && head_dim % 16 == 0, "int8 rows have a multiple of 16 channels, not " << head_dim);
}

}  // namespace

void load_int8(int head_dim, const void* from, float* to, std::int64_t rows) {
  check_row(head_dim);
  const auto load = pick(scalar::load_int8, avx2::load_int8, avx2::load_int8);
  const auto* row = static_cast<const std::int8_t*>(from);
  for (std::int64_t n = 0; n < rows; ++n, row += head_dim + kScaleBytes) {
    load(head_dim, row, to + n * head_dim);
  }
}

void store_int8(int head_dim, const float* from, void* to, std::int64_t rows) {
  check_row(head_dim);
  const auto store = pick(scalar::store_int8, avx2::store_int8, avx2::store_int8);
  auto* row = static_cast<std::int8_t*>(to);
  for (std::int64_t n = 0; n < rows; ++n, row += head_dim + kScaleBytes) {
    store(head_dim, from + n * head_dim, row);
  }
}

}  // namespace hybridgen::kernels
