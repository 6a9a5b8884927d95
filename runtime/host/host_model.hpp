// A model whose weights are in this machine's memory, shared read-only by executors.
#pragma once

#include <memory>

#include "core/machine/model_shape.hpp"
#include "runtime/weights/model_weights.hpp"

namespace hybridgen {

struct HostModel {
  ModelShape shape;
  ModelWeights weights;
  std::shared_ptr<void> memory;  // owns what the weights point into
};

}  // namespace hybridgen
