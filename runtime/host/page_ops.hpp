// What the device computes with pages of K and V: their bounds, the choice among them, and attention over the
// chosen ones.
#pragma once

#include <vector>

#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"
#include "runtime/host/op_context.hpp"
#include "runtime/host/request_buffers.hpp"

namespace hybridgen {

// The op's request in the step: its queries (after rotation) and where its attention goes, of one token.
struct DeviceRow {
  const float* query = nullptr;  // [query_heads][head_dim]
  float* attended = nullptr;     // [query_heads][head_dim]
};

class PageOps {
 public:
  // Both outlive the object. threads: of the largest device lane.
  PageOps(const ModelShape& shape, const MemoryPlan& plan, int threads);

  void run(const OpContext& context, RequestBuffers& request, const DeviceRow& row);

 private:
  void page_bounds(const OpContext& context, RequestBuffers& request);
  void select_pages(const OpContext& context, RequestBuffers& request, const DeviceRow& row);
  void attend_pages(const OpContext& context, RequestBuffers& request, const DeviceRow& row);
  // Of query head: its chosen pages and the new token's, neighbours as one.
  void collect_spans(const OpContext& context, const RequestBuffers& request, std::int64_t head,
                     std::vector<kernels::KvSpan>& spans) const;

  struct Scratch {
    std::vector<float> floats;
    std::vector<std::uint32_t> words;
    std::vector<kernels::KvSpan> spans;
  };

  const ModelShape& shape_;
  const MemoryPlan& plan_;
  kernels::KvType kv_type_;
  Bytes head_row_;                // one K or V row of one head
  Bytes head_bounds_;             // the bounds of a page, of one head
  float scale_;                   // 1 / sqrt(head_dim)
  std::vector<Scratch> scratch_;  // by thread
};

}  // namespace hybridgen
