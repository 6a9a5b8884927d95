#include "sim/world/op_graph.hpp"

namespace hybridgen {

OpGraph::OpGraph(const Step& step) {
  build(step.ops.size(), [&](std::size_t i) { return step.dependencies_of(step.ops[i]); });
}

OpGraph::OpGraph(const std::vector<std::vector<OpId>>& dependencies) {
  build(dependencies.size(), [&](std::size_t i) { return std::span<const OpId>(dependencies[i]); });
}

// Counts, then places: ops are visited by id, so each list of successors comes out ascending.
template <class DependenciesOf>
void OpGraph::build(std::size_t ops, const DependenciesOf& dependencies_of) {
  dependency_counts_.resize(ops);
  first_.assign(ops + 1, 0);
  for (std::size_t i = 0; i < ops; ++i) {
    const std::span<const OpId> dependencies = dependencies_of(i);
    dependency_counts_[i] = static_cast<std::uint32_t>(dependencies.size());
    for (const OpId id : dependencies) {
      HG_CHECK(id.valid() && id.index() < i, "op " << i << " depends on op " << id.value);
      ++first_[id.index() + 1];
    }
  }
  for (std::size_t i = 0; i < ops; ++i) first_[i + 1] += first_[i];
  successors_.resize(first_[ops]);
  std::vector<std::uint32_t> next(first_.begin(), first_.end() - 1);
  for (std::size_t i = 0; i < ops; ++i) {
    for (const OpId id : dependencies_of(i)) successors_[next[id.index()]++] = OpId(i);
  }
}

}  // namespace hybridgen
