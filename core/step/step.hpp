// The ops of one iteration over all layers: a DAG, built once by a StepBuilder, submitted whole, never
// changed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/step/batch.hpp"
#include "core/step/op.hpp"
#include "core/step/outcome.hpp"

namespace hybridgen {

struct Step {
  StepId id;
  Batch batch;
  std::vector<Op> ops;  // ids are indices; dependencies point backwards only
  std::vector<OpId> dependencies;
  std::vector<Outcome> outcomes;

  std::span<const OpId> dependencies_of(const Op& op) const {
    return {dependencies.data() + op.first_dependency, op.dependency_count};
  }
};

// Hash over everything but sizes: kinds, roles, lanes, layers, requests, places, rules, dependencies,
// outcomes. Not the slots: within a run a request has one. Equal structure means that a captured graph or a
// known cost may be used again.
std::uint64_t structure_hash(const Step& step);

}  // namespace hybridgen
