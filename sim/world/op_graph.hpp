// Which op waits for which, and the one place where simultaneous events get their order: (end, op id).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/base/check.hpp"
#include "core/base/ids.hpp"
#include "core/step/step.hpp"

namespace hybridgen {

// Ops 0..n-1; an op depends on earlier ones only. Read only once built.
class OpGraph {
 public:
  explicit OpGraph(const Step& step);
  explicit OpGraph(const std::vector<std::vector<OpId>>& dependencies);  // by op id

  std::size_t size() const { return dependency_counts_.size(); }
  std::uint32_t dependency_count(OpId op) const { return dependency_counts_[op.index()]; }
  // In ascending order.
  std::span<const OpId> successors(OpId op) const {
    return {successors_.data() + first_[op.index()], successors_.data() + first_[op.index() + 1]};
  }

 private:
  template <class DependenciesOf>
  void build(std::size_t ops, const DependenciesOf& dependencies_of);

  std::vector<std::uint32_t> dependency_counts_;
  std::vector<std::uint32_t> first_;  // into successors_, by op id; one more than there are ops
  std::vector<OpId> successors_;
};

// What has ended and what may start. An engine notes every op that ends at the present instant with end(),
// then calls release(): ended ops are taken by id, and each one's successors that have become ready start by
// id. An op that takes no time ends in the same instant and joins the queue.
class OpProgress {
 public:
  explicit OpProgress(const OpGraph& graph) : graph_(graph), waiting_(graph.size()), left_(graph.size()) {
    for (std::size_t i = 0; i < graph.size(); ++i) waiting_[i] = graph.dependency_count(OpId(i));
  }

  bool done() const { return left_ == 0; }

  void end(OpId op) {
    ended_.push_back(op);
    std::push_heap(ended_.begin(), ended_.end(), std::greater<>());
  }

  // Ops that wait for nothing, then whatever they release at once. start(OpId) may call end().
  template <class Start>
  void begin(Start&& start) {
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      if (graph_.dependency_count(OpId(i)) == 0) start(OpId(i));
    }
    release(start);
  }

  template <class Start>
  void release(Start&& start) {
    while (!ended_.empty()) {
      std::pop_heap(ended_.begin(), ended_.end(), std::greater<>());
      const OpId op = ended_.back();
      ended_.pop_back();
      HG_CHECK(left_ > 0, "op " << op.value << " ended twice");
      --left_;
      for (const OpId next : graph_.successors(op)) {
        if (--waiting_[next.index()] == 0) start(next);
      }
    }
  }

 private:
  const OpGraph& graph_;
  std::vector<std::uint32_t> waiting_;  // dependencies that have not ended, by op id
  std::vector<OpId> ended_;             // a heap, least id first
  std::size_t left_;
};

}  // namespace hybridgen
