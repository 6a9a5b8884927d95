#include "runtime/kernels/select.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/simd.hpp"

namespace hybridgen::kernels {

namespace {

// Unsigned keys in the order of the floats, and back.
inline std::uint32_t key_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
inline float value_of(std::uint32_t key) {
  return std::bit_cast<float>(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

struct Extremes {
  float least;
  float most;
};

struct Pivot {
  float value;
  std::int64_t count;  // of the values that are >= value
};

}  // namespace

namespace scalar {
static std::int64_t count_at_least(const float* values, std::int64_t n, float least) {
  return std::count_if(values, values + n, [=](float x) { return x >= least; });
}

static Extremes extremes(const float* values, std::int64_t n) {
  const auto [least, most] = std::minmax_element(values, values + n);
  return {*least, *most};
}

#define HG_TARGET
#include "runtime/kernels/select_pivot.inl"
#undef HG_TARGET

static std::int64_t collect(const float* scores, const std::int32_t* from, std::int64_t n, float least,
                            std::int32_t* indices, float* values, std::int64_t) {
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    if (!(scores[i] >= least)) continue;
    indices[found] = from ? from[i] : static_cast<std::int32_t>(i);
    values[found++] = scores[i];
  }
  return found;
}

static void best_margins(const float* scores, std::int64_t stride, int heads, std::int64_t n,
                         const float* most, float* margins) {
  for (std::int64_t i = 0; i < n; ++i) {
    margins[i] = scores[i] - most[0];
    for (int head = 1; head < heads; ++head) {
      margins[i] = std::max(margins[i], scores[head * stride + i] - most[head]);
    }
  }
}
}  // namespace scalar

namespace avx2 {
#define HG_TARGET HG_TARGET_AVX2
#define HG_WIDTH 8
#include "runtime/kernels/select.inl"
#include "runtime/kernels/select_pivot.inl"
#undef HG_WIDTH
#undef HG_TARGET
}  // namespace avx2

namespace avx512 {
#define HG_TARGET HG_TARGET_AVX512
#define HG_WIDTH 16
#include "runtime/kernels/select.inl"
#include "runtime/kernels/select_pivot.inl"
#undef HG_WIDTH
#undef HG_TARGET
}  // namespace avx512

namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

Pivot find_pivot(const float* values, std::int64_t n, std::int64_t k, std::int64_t slack) {
  return pick(scalar::find_pivot, avx2::find_pivot, avx512::find_pivot)(values, n, k, slack);
}

std::int64_t collect(const float* scores, const std::int32_t* from, std::int64_t n, float least,
                     std::int32_t* indices, float* values, std::int64_t room) {
  return pick(scalar::collect, avx2::collect, avx512::collect)(scores, from, n, least, indices, values, room);
}

// Candidates in ascending order of index.
struct Candidates {
  std::int32_t* indices;
  float* values;
  std::int64_t count;
};

Candidates candidates(const float* scores, std::int64_t n, float least, std::uint32_t* scratch) {
  auto* indices = reinterpret_cast<std::int32_t*>(scratch);
  auto* values = reinterpret_cast<float*>(scratch + select_scratch(n) / 2);
  return {indices, values, collect(scores, nullptr, n, least, indices, values, n)};
}

// The k best of the candidates to the output, ascending.
std::int64_t emit_best(const Candidates& from, std::int64_t k, std::int32_t* indices, float* chosen) {
  if (k >= from.count)
    return collect(from.values, from.indices, from.count, kLowest, indices, chosen, from.count);
  const Pivot pivot = find_pivot(from.values, from.count, k, 0);
  if (pivot.count == k) {
    return collect(from.values, from.indices, from.count, pivot.value, indices, chosen, k);
  }
  const auto above =
      std::count_if(from.values, from.values + from.count, [&](float value) { return value > pivot.value; });
  std::int64_t ties = k - above, written = 0;  // the first of those that equal the pivot
  for (std::int64_t i = 0; written < k; ++i) {
    const float value = from.values[i];
    const bool tie = value == pivot.value;
    if (value < pivot.value || (tie && ties == 0)) continue;
    if (tie) --ties;
    indices[written] = from.indices[i];
    chosen[written++] = value;
  }
  return written;
}

// A score that at least k of n very likely reach, from an evenly spaced sample; a wrong guess costs a second
// pass over the scores.
float guess_threshold(const float* scores, std::int64_t n, std::int64_t k) {
  constexpr std::int64_t kSample = 256, kSlack = 3;
  if (n < 4 * kSample) return kLowest;
  const double expected = static_cast<double>(k) / static_cast<double>(n) * kSample;
  const auto rank = static_cast<std::int64_t>(expected + 2.0 * std::sqrt(expected) + 2.0);
  if (rank >= kSample) return kLowest;
  float sample[kSample];
  const std::int64_t step = n / kSample;
  for (std::int64_t i = 0; i < kSample; ++i) sample[i] = scores[i * step];
  return find_pivot(sample, kSample, rank, kSlack).value;
}

}  // namespace

std::int64_t select_top_k(const float* scores, std::int64_t n, std::int64_t k, std::uint32_t* scratch,
                          std::int32_t* indices, float* chosen) {
  if (k <= 0 || n <= 0) return 0;
  Candidates from = candidates(scores, n, guess_threshold(scores, n, k), scratch);
  if (from.count < std::min(k, n)) from = candidates(scores, n, kLowest, scratch);
  return emit_best(from, k, indices, chosen);
}

std::int64_t select_threshold(const float* scores, std::int64_t n, float alpha, std::int64_t bound,
                              std::uint32_t* scratch, std::int32_t* indices, float* chosen) {
  if (bound <= 0 || n <= 0) return 0;
  const float top = max_of(scores, n);
  const float least = top == kLowest ? kLowest : top - alpha;  // -inf minus infinity would be NaN
  return emit_best(candidates(scores, n, least, scratch), bound, indices, chosen);
}

void best_margins(const float* scores, std::int64_t stride, int heads, std::int64_t n, const float* most,
                  float* margins) {
  pick(scalar::best_margins, avx2::best_margins, avx512::best_margins)(scores, stride, heads, n, most,
                                                                       margins);
}

std::int64_t unite_rows(std::int32_t* rows, std::int64_t stride, const std::int64_t* counts, int lists,
                        std::int64_t n, std::uint32_t* scratch) {
  const std::int64_t words = (n + 31) / 32;  // one bit per row; fewer than select_scratch(n)
  std::fill_n(scratch, words, 0U);
  for (int list = 0; list < lists; ++list) {
    const std::int32_t* indices = rows + list * stride;
    for (std::int64_t i = 0; i < counts[list]; ++i) scratch[indices[i] / 32] |= 1U << (indices[i] % 32);
  }
  std::int64_t written = 0;
  for (std::int64_t word = 0; word < words; ++word) {
    for (std::uint32_t bits = scratch[word]; bits != 0; bits &= bits - 1) {
      rows[written++] = static_cast<std::int32_t>(word * 32 + std::countr_zero(bits));
    }
  }
  return written;
}

}  // namespace hybridgen::kernels
