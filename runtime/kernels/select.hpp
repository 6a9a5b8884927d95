// Choosing rows by score, exactly and deterministically: the same input gives the same rows on every
// instruction set. Called by the host lane after `logits`, once per query head, or per KV head over margins.
// No allocation; scores must not contain NaN (-infinity is fine, +0 and -0 are equal); n and indices fit 32
// bits. Output: row indices in ascending order and their scores; both arrays need room for the bound on the
// result.
#pragma once

#include <cstdint>

namespace hybridgen::kernels {

// 32-bit words of scratch that a selection over n scores needs.
constexpr std::int64_t select_scratch(std::int64_t n) {
  return 2 * (n + 32);
}

// The min(k, n) best scores, ties in favour of the lower index. Returns how many were written.
std::int64_t select_top_k(const float* scores, std::int64_t n, std::int64_t k, std::uint32_t* scratch,
                          std::int32_t* indices, float* chosen);

// All rows with score >= max - alpha (alpha >= 0, the difference rounded to fp32); if more than `bound`
// qualify, the best `bound` of them as select_top_k would choose. Returns how many were written.
std::int64_t select_threshold(const float* scores, std::int64_t n, float alpha, std::int64_t bound,
                              std::uint32_t* scratch, std::int32_t* indices, float* chosen);

// How close each of n rows comes to the largest score of any head: margins[i] = the largest over heads h of
// scores[h * stride + i] - most[h].
void best_margins(const float* scores, std::int64_t stride, int heads, std::int64_t n, const float* most,
                  float* margins);

// The union of `lists` ascending lists of row indices below n: list i has counts[i] indices from
// rows + i * stride on. Written ascending from rows on, over the lists. scratch as for a selection over n.
// Returns how many were written.
std::int64_t unite_rows(std::int32_t* rows, std::int64_t stride, const std::int64_t* counts, int lists,
                        std::int64_t n, std::uint32_t* scratch);

}  // namespace hybridgen::kernels
