#include "runtime/lookahead/ridge_fit.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

#include "core/base/check.hpp"
#include "runtime/kernels/gemm.hpp"

namespace hybridgen {
namespace {

using Floats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// a^T b, both [samples][..]. The large products are the tuned library's; sums are fp32, far below the ridge.
Floats transposed_product(const Floats& a, const float* b, std::int64_t columns) {
  const Floats turned = a.transpose();
  Floats product(a.cols(), columns);
  kernels::sgemm(false, a.cols(), columns, a.rows(), turned.data(), a.rows(), b, columns, 0, product.data(),
                 columns);
  return product;
}

Floats product_of(const Floats& a, const Floats& b) {
  Floats product(a.rows(), b.cols());
  kernels::sgemm(false, a.rows(), b.cols(), a.cols(), a.data(), a.cols(), b.data(), b.cols(), 0,
                 product.data(), b.cols());
  return product;
}

}  // namespace

LowRank ridge_fit(const RidgeProblem& problem, std::int64_t rank, double ridge) {
  HG_CHECK(0 < rank && rank <= std::min(problem.inputs, problem.outputs) && ridge > 0,
           "rank " << rank << " of " << problem.inputs << " x " << problem.outputs << ", ridge " << ridge);
  const Floats x = Eigen::Map<const Floats>(problem.x, problem.samples, problem.inputs);
  const Floats gram = transposed_product(x, problem.x, problem.inputs);
  Eigen::MatrixXd regular = gram.cast<double>();
  regular.diagonal().array() += ridge * regular.diagonal().mean();
  const Eigen::LLT<Eigen::MatrixXd> cholesky(regular);
  HG_CHECK(cholesky.info() == Eigen::Success, "a ridge makes the problem definite");
  const Eigen::MatrixXd right = transposed_product(x, problem.y, problem.outputs).cast<double>();
  const Floats solved = cholesky.solve(right).cast<float>();
  const Floats fitted = transposed_product(solved, product_of(gram, solved).data(), problem.outputs);
  // Eigenvalues come in ascending order.
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(fitted.cast<double>());
  const Floats lead = eigen.eigenvectors().rightCols(rank).cast<float>();
  const Floats down = product_of(solved, lead).transpose();
  return {{down.data(), down.data() + down.size()}, {lead.data(), lead.data() + lead.size()}};
}

}  // namespace hybridgen
