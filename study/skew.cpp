#include "study/skew.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace hybridgen {
namespace {

constexpr int kMostSweeps = 60;  // each reduces what is off the diagonal quadratically: ten are many

// A square matrix by row and column.
class Square {
 public:
  Square(std::vector<double>& values, int n) : values_(values), n_(n) {}
  double& operator()(int row, int column) {
    return values_[static_cast<std::size_t>(row) * static_cast<std::size_t>(n_) +
                   static_cast<std::size_t>(column)];
  }

 private:
  std::vector<double>& values_;
  int n_;
};

// Turns rows and columns p and q so that the element between them becomes 0, and the basis with them.
void rotate(Square& a, Square& basis, int p, int q, int n) {
  const double off = a(p, q);
  if (off == 0) return;
  const double half = (a(q, q) - a(p, p)) / (2 * off);
  const double tangent = (half >= 0 ? 1 : -1) / (std::abs(half) + std::sqrt(half * half + 1));
  const double cosine = 1 / std::sqrt(tangent * tangent + 1), sine = tangent * cosine;
  const auto turn = [&](double& x, double& y) {
    const double old = x;
    x = cosine * old - sine * y;
    y = sine * old + cosine * y;
  };
  for (int i = 0; i < n; ++i) turn(a(i, p), a(i, q));
  for (int i = 0; i < n; ++i) turn(a(p, i), a(q, i));
  for (int i = 0; i < n; ++i) turn(basis(p, i), basis(q, i));
}

}  // namespace

std::vector<double> symmetric_eigenvectors(std::vector<double> matrix, int n) {
  const auto size = static_cast<std::size_t>(n);
  std::vector<double> vectors(size * size);
  Square a(matrix, n), basis(vectors, n);
  for (int i = 0; i < n; ++i) basis(i, i) = 1;
  double all = 0;
  for (const double value : matrix) all += value * value;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    double off = 0;
    for (int p = 0; p < n; ++p) {
      for (int q = p + 1; q < n; ++q) off += a(p, q) * a(p, q);
    }
    if (off <= 1e-30 * all) break;
    for (int p = 0; p < n; ++p) {
      for (int q = p + 1; q < n; ++q) rotate(a, basis, p, q, n);
    }
  }
  std::vector<int> order(size);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int i, int j) { return a(i, i) > a(j, j); });
  std::vector<double> sorted;
  for (const int row : order) {
    for (int i = 0; i < n; ++i) sorted.push_back(basis(row, i));
  }
  return sorted;
}

SkewFit::SkewFit(int head_dim)
    : dim_(head_dim), gram_(static_cast<std::size_t>(head_dim) * static_cast<std::size_t>(head_dim)) {}

void SkewFit::add(const float* query) {
  for (int i = 0; i < dim_; ++i) {
    const auto at = static_cast<double>(query[i]);
    double* row = gram_.data() + static_cast<std::ptrdiff_t>(i) * dim_;
    for (int j = i; j < dim_; ++j) row[j] += at * static_cast<double>(query[j]);
  }
}

std::vector<float> SkewFit::columns() const {
  std::vector<double> full = gram_;
  Square square(full, dim_);
  for (int i = 0; i < dim_; ++i) {
    for (int j = 0; j < i; ++j) square(i, j) = square(j, i);
  }
  const std::vector<double> vectors = symmetric_eigenvectors(std::move(full), dim_);
  return {vectors.begin(), vectors.end()};
}

}  // namespace hybridgen
