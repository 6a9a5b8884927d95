#include "tests/bench/roofline.hpp"

#include <atomic>
#include <cstring>

#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/simd.hpp"

namespace hybridgen::kernels {
namespace {

std::atomic<std::uint32_t> sink{0};  // keeps the loads alive

void read_scalar(const std::byte* data, std::int64_t bytes) {
  std::uint64_t all = 0;
  for (std::int64_t i = 0; i < bytes; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + i, 8);
    all |= word;
  }
  sink = static_cast<std::uint32_t>(all);
}

HG_TARGET_AVX2 void read_avx2(const std::byte* data, std::int64_t bytes) {
  __m256i all[4] = {};
  for (std::int64_t i = 0; i < bytes; i += 128) {
    for (int j = 0; j < 4; ++j) {
      all[j] =
          _mm256_or_si256(all[j], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + i + 32 * j)));
    }
  }
  const __m256i one = _mm256_or_si256(_mm256_or_si256(all[0], all[1]), _mm256_or_si256(all[2], all[3]));
  sink = static_cast<std::uint32_t>(_mm256_extract_epi32(one, 0));
}

HG_TARGET_AVX512 void read_avx512(const std::byte* data, std::int64_t bytes) {
  __m512i all[4] = {};
  for (std::int64_t i = 0; i < bytes; i += 256) {
    for (int j = 0; j < 4; ++j) all[j] = _mm512_or_si512(all[j], _mm512_loadu_si512(data + i + 64 * j));
  }
  const __m512i one = _mm512_or_si512(_mm512_or_si512(all[0], all[1]), _mm512_or_si512(all[2], all[3]));
  sink = static_cast<std::uint32_t>(_mm512_reduce_or_epi32(one));
}

// Twelve chains: more than latency x units of any common core, and the registers hold them.
constexpr int kChains = 12;

void fmas_scalar() {
  float sum[kChains] = {};
  float factor = 1.0f;
  asm volatile("" : "+m"(factor));
  for (std::int64_t i = 0; i < kPeakFmas / kChains; ++i) {
    for (float& each : sum) each = each * factor + 1.0f;
  }
  for (const float each : sum) sink = static_cast<std::uint32_t>(each);
}

// The empty asm holds each sum in a register and keeps the compiler from folding the loop.
HG_TARGET_AVX2 void fmas_avx2() {
  const __m256 x = _mm256_set1_ps(0.5f);
  __m256 sum[kChains] = {};
  for (std::int64_t i = 0; i < kPeakFmas / (8 * kChains); ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; ++j) {
      sum[j] = _mm256_fmadd_ps(x, x, sum[j]);
      asm volatile("" : "+x"(sum[j]));
    }
  }
}

HG_TARGET_AVX512 void fmas_avx512() {
  const __m512 x = _mm512_set1_ps(0.5f);
  __m512 sum[kChains] = {};
  for (std::int64_t i = 0; i < kPeakFmas / (16 * kChains); ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; ++j) {
      sum[j] = _mm512_fmadd_ps(x, x, sum[j]);
      asm volatile("" : "+v"(sum[j]));
    }
  }
}

}  // namespace

void read_in_order(const std::byte* data, std::int64_t bytes) {
  pick(read_scalar, read_avx2, read_avx512)(data, bytes);
}

void peak_fmas() {
  pick(fmas_scalar, fmas_avx2, fmas_avx512)();
}

}  // namespace hybridgen::kernels
