// The skew of a layer's queries: the right singular vectors of all rotated queries that share a KV head, by
// falling singular value. With q A and k A, A orthogonal, every score stays what it was, and a few columns
// carry most of it.
#pragma once

#include <cstdint>
#include <vector>

namespace hybridgen {

// Collects queries of one layer and KV head. Right singular vectors of Q are eigenvectors of Q^T Q, which is
// all that is kept. Double precision.
class SkewFit {
 public:
  explicit SkewFit(int head_dim);
  void add(const float* query);
  // head_dim columns behind one another, each of head_dim elements; orthonormal. The sign of each is open.
  std::vector<float> columns() const;

 private:
  int dim_;
  std::vector<double> gram_;  // [dim][dim], the upper triangle
};

// Eigenvectors of a symmetric matrix [n][n] as rows, by falling eigenvalue (cyclic Jacobi rotations).
std::vector<double> symmetric_eigenvectors(std::vector<double> matrix, int n);

}  // namespace hybridgen
