// Bytes that a stream's op moved, by the sizes that its kernels took and by what the host lane really chose:
// the GPU's half of what byte_counter.hpp is to the CPU lanes.
#pragma once

#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"
#include "core/step/step.hpp"
#include "runtime/host/byte_counter.hpp"

namespace hybridgen::cuda {

class MovedBytes {
 public:
  // Both outlive the object.
  MovedBytes(const ModelShape& shape, const MemoryPlan& plan);

  // chosen: rows that the host chose for the op's request and layer, over all query heads; 0 where none are.
  void count(const Step& step, const Op& op, std::int64_t chosen, ByteCounter& bytes) const;

 private:
  void count_pages(const Op& op, ByteCounter& bytes) const;
  void count_partial(const Op& op, std::int64_t chosen, ByteCounter& bytes) const;
  void count_kept(const Op& op, ByteCounter& bytes) const;
  void count_weights(const Step& step, const Op& op, ByteCounter& bytes) const;

  const ModelShape& shape_;
  const MemoryPlan& plan_;
  Bytes head_row_;  // one K or V row of one head
};

}  // namespace hybridgen::cuda
