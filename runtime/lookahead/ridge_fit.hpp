// Ridge regression cut to a rank: the small dense algebra of fit-lookahead.
#pragma once

#include <cstdint>
#include <vector>

namespace hybridgen {

// y = up (down x). Row-major.
struct LowRank {
  std::vector<float> down;  // [rank][inputs]
  std::vector<float> up;    // [outputs][rank]
};

struct RidgeProblem {
  std::int64_t samples = 0;
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  const float* x = nullptr;  // [samples][inputs]
  const float* y = nullptr;  // [samples][outputs]
};

// B minimises |x B - y|^2 + lambda |B|^2, lambda = ridge x the mean diagonal of x^T x; then the `rank`
// directions of the outputs in which x B is largest: with V the leading eigenvectors of (x B)^T (x B),
// down = (B V)^T and up = V. rank at most the smaller of inputs and outputs.
LowRank ridge_fit(const RidgeProblem& problem, std::int64_t rank, double ridge);

}  // namespace hybridgen
