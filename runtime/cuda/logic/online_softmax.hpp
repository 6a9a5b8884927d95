// Softmax over rows that arrive in pieces: each piece keeps its largest logit and its sum of exponentials,
// and pieces join in any order. A weighted sum of V rows is rescaled by the same factors.
#pragma once

#include <cmath>

#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

// What a row that is not there contributes; also the maximum of no rows.
inline constexpr float kNoLogit = -HUGE_VALF;

struct SoftmaxPiece {
  float max = kNoLogit;
  float sum = 0;  // of exp(logit - max)
};

// exp(from - to) for to >= from: the factor by which sums taken at maximum `from` shrink at maximum `to`.
// 0 for a piece without rows, also when there are no rows at all.
HYBRIDGEN_HD inline float rescale(float from, float to) {
  return from == kNoLogit ? 0.0F : expf(from - to);
}

// Raises the piece to a maximum of at least `logit`; returns the factor for sums taken so far.
HYBRIDGEN_HD inline float raise_max(SoftmaxPiece& piece, float logit) {
  if (!(logit > piece.max)) return 1.0F;
  const float factor = rescale(piece.max, logit);
  piece.max = logit;
  piece.sum *= factor;
  return factor;
}

// The weight exp(logit - max) of a row, added to the sum. Only after raise_max with this logit.
HYBRIDGEN_HD inline float add_row(SoftmaxPiece& piece, float logit) {
  const float weight = rescale(logit, piece.max);
  piece.sum += weight;
  return weight;
}

HYBRIDGEN_HD inline SoftmaxPiece merged(const SoftmaxPiece& a, const SoftmaxPiece& b) {
  const float max = a.max > b.max ? a.max : b.max;
  return {max, a.sum * rescale(a.max, max) + b.sum * rescale(b.max, max)};
}

// -infinity for no rows.
HYBRIDGEN_HD inline float log_sum_exp(const SoftmaxPiece& piece) {
  return piece.sum > 0 ? piece.max + logf(piece.sum) : kNoLogit;
}

// What a weighted sum taken in `part` counts in the whole: sum over parts of sum_part * share = the
// attention. 0 where no part has a row.
HYBRIDGEN_HD inline float share_of(const SoftmaxPiece& part, const SoftmaxPiece& whole) {
  return whole.sum > 0 ? rescale(part.max, whole.max) / whole.sum : 0.0F;
}

}  // namespace hybridgen::cuda
