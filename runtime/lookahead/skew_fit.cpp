#include "runtime/lookahead/skew_fit.hpp"

#include <Eigen/Eigenvalues>
#include <atomic>
#include <thread>

#include "core/base/check.hpp"
#include "runtime/lookahead/layer_queries.hpp"

namespace hybridgen {
namespace {

using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Right singular vectors of Q are eigenvectors of Q^T Q, and its size does not grow with the text.
Eigen::MatrixXd right_singular_vectors(const Eigen::MatrixXd& gram) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(gram);
  HG_CHECK(eigen.info() == Eigen::Success, "eigenvectors of a symmetric matrix");
  return eigen.eigenvectors().rowwise().reverse();  // they come by rising eigenvalue
}

}  // namespace

std::vector<float> skew_of(const ModelShape& shape, const std::vector<float>& queries) {
  const Eigen::Index width = shape.q_width(), dim = shape.head_dim;
  const auto tokens = static_cast<Eigen::Index>(queries.size()) / width;
  const Eigen::Map<const Rows> all(queries.data(), tokens, width);
  std::vector<float> skew;
  skew.reserve(static_cast<std::size_t>(shape.kv_width() * dim));
  for (int kv = 0; kv < shape.kv_heads; ++kv) {
    Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(dim, dim);
    for (int head = kv * shape.group(); head < (kv + 1) * shape.group(); ++head) {
      const Eigen::MatrixXd of_head = all.middleCols(head * dim, dim).cast<double>();
      gram.noalias() += of_head.transpose() * of_head;
    }
    const Eigen::MatrixXf columns = right_singular_vectors(gram).cast<float>();  // stored column by column
    skew.insert(skew.end(), columns.data(), columns.data() + columns.size());
  }
  return skew;
}

std::vector<std::vector<float>> fit_skew(const HostModel& model,
                                         const std::vector<std::vector<float>>& inputs, int threads) {
  HG_CHECK(inputs.size() == static_cast<std::size_t>(model.shape.layers), "inputs of " << inputs.size());
  std::vector<std::vector<float>> skew(inputs.size());
  std::atomic<int> next{0};
  const auto work = [&] {
    for (int layer = next++; layer < model.shape.layers; layer = next++) {
      const auto at = static_cast<std::size_t>(layer);
      const LayerQueries queries(model, layer, inputs[at], inputs[at]);
      skew[at] = skew_of(model.shape, queries.true_queries());
    }
  };
  {
    std::vector<std::jthread> team;
    for (int i = 1; i < threads; ++i) team.emplace_back(work);
    work();
  }
  return skew;
}

}  // namespace hybridgen
