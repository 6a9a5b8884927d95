#include "runtime/kernels/select.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/simd.hpp"

namespace hybridgen::kernels {

// collect: the indices and bit patterns of all scores >= least, in ascending order of index.
namespace scalar {
static std::int64_t collect(const float* scores, std::int64_t n, float least, std::uint32_t* indices,
                            std::uint32_t* values) {
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    indices[found] = static_cast<std::uint32_t>(i);
    std::memcpy(values + found, scores + i, sizeof(float));
    found += scores[i] >= least ? 1 : 0;
  }
  return found;
}
}  // namespace scalar

namespace avx2 {
#define HG_TARGET HG_TARGET_AVX2
#define HG_WIDTH 8
#include "runtime/kernels/select.inl"
#undef HG_WIDTH
#undef HG_TARGET
}  // namespace avx2

namespace avx512 {
#define HG_TARGET HG_TARGET_AVX512
#define HG_WIDTH 16
#include "runtime/kernels/select.inl"
#undef HG_WIDTH
#undef HG_TARGET
}  // namespace avx512

namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// Candidates in ascending order of index; values are the scores' bit patterns.
struct Candidates {
  std::uint32_t* indices;
  std::uint32_t* values;
  std::int64_t count;
};

Candidates collect(const float* scores, std::int64_t n, float least, std::uint32_t* scratch) {
  std::uint32_t* values = scratch + select_scratch(n) / 2;
  const std::int64_t count =
      pick(scalar::collect, avx2::collect, avx512::collect)(scores, n, least, scratch, values);
  return {scratch, values, count};
}

// Unsigned keys in the order of the floats; adding +0 makes -0 and +0 equal.
std::uint32_t key_of(std::uint32_t bits) {
  const std::uint32_t value = std::bit_cast<std::uint32_t>(std::bit_cast<float>(bits) + 0.0f);
  return value & 0x80000000u ? ~value : value | 0x80000000u;
}

struct Pivot {
  std::uint32_t key;   // everything above is chosen
  std::int64_t equal;  // and this many that equal it
};

// The key of rank k (1 <= k <= count) from the top. Narrows the range of keys by a histogram of 256 bins per
// pass: at most five passes, mostly two, whatever the distribution.
Pivot find_pivot(const Candidates& from, std::int64_t k) {
  std::uint32_t low = ~0u, high = 0;
  for (std::int64_t i = 0; i < from.count; ++i) {
    const std::uint32_t key = key_of(from.values[i]);
    low = std::min(low, key);
    high = std::max(high, key);
  }
  while (low < high) {
    const int shift = std::max(0, static_cast<int>(std::bit_width(high - low)) - 8);
    std::uint32_t bins[256] = {};
    for (std::int64_t i = 0; i < from.count; ++i) {
      const std::uint32_t key = key_of(from.values[i]);
      if (key >= low && key <= high) ++bins[(key - low) >> shift];
    }
    std::uint32_t bin = (high - low) >> shift;
    while (bins[bin] < k) k -= bins[bin--];
    low += bin << shift;
    high = low + std::min(high - low, (1u << shift) - 1u);
  }
  return {low, k};
}

// The k best of the candidates to the output, ascending.
std::int64_t emit_best(const Candidates& from, std::int64_t k, std::int32_t* indices, float* chosen) {
  const bool all = k >= from.count;
  Pivot pivot = all ? Pivot{0, 0} : find_pivot(from, k);
  const std::int64_t wanted = std::min(k, from.count);
  std::int64_t written = 0;
  for (std::int64_t i = 0; written < wanted; ++i) {
    const std::uint32_t key = key_of(from.values[i]);
    const bool tie = key == pivot.key && pivot.equal > 0;
    if (!(all || key > pivot.key || tie)) continue;
    if (tie) --pivot.equal;
    indices[written] = static_cast<std::int32_t>(from.indices[i]);
    chosen[written++] = std::bit_cast<float>(from.values[i]);
  }
  return written;
}

// A score that at least k of n very likely reach, from an evenly spaced sample; a wrong guess costs a second
// scan.
float guess_threshold(const float* scores, std::int64_t n, std::int64_t k) {
  constexpr std::int64_t kSample = 256;
  if (n < 4 * kSample) return kLowest;
  const double expected = static_cast<double>(k) / static_cast<double>(n) * kSample;
  const auto rank = static_cast<std::int64_t>(expected + 3.0 * std::sqrt(expected) + 3.0);
  if (rank >= kSample) return kLowest;
  float sample[kSample];
  for (std::int64_t i = 0; i < kSample; ++i) sample[i] = scores[i * n / kSample];
  std::nth_element(sample, sample + rank, sample + kSample, std::greater<>());
  return sample[rank];
}

}  // namespace

std::int64_t select_top_k(const float* scores, std::int64_t n, std::int64_t k, std::uint32_t* scratch,
                          std::int32_t* indices, float* chosen) {
  if (k <= 0 || n <= 0) return 0;
  Candidates from = collect(scores, n, guess_threshold(scores, n, k), scratch);
  if (from.count < std::min(k, n)) from = collect(scores, n, kLowest, scratch);
  return emit_best(from, k, indices, chosen);
}

std::int64_t select_threshold(const float* scores, std::int64_t n, float alpha, std::int64_t bound,
                              std::uint32_t* scratch, std::int32_t* indices, float* chosen) {
  if (bound <= 0 || n <= 0) return 0;
  const float top = max_of(scores, n);
  const float least = top == kLowest ? kLowest : top - alpha;  // -inf minus infinity would be NaN
  return emit_best(collect(scores, n, least, scratch), bound, indices, chosen);
}

}  // namespace hybridgen::kernels
