// The ops by which the device chooses host rows by a few columns of the skewed Q and K (InfiniGen).
#pragma once

#include <vector>

#include "core/residency/memory_plan.hpp"
#include "runtime/host/op_context.hpp"
#include "runtime/host/partial_keys.hpp"
#include "runtime/host/request_buffers.hpp"
#include "runtime/weights/model_weights.hpp"

namespace hybridgen {

// The op's request in the step: where its queries (positions applied) and its attention lie.
struct PartialRow {
  const float* query = nullptr;  // [query tokens][stride], of which the first q_width
  std::int64_t stride = 0;
  const float* predicted = nullptr;  // [query_heads][head_dim], of the op's layer
  float* attended = nullptr;         // [query_heads][head_dim]
};

// What it works on.
struct PartialRequest {
  RequestBuffers& buffers;
  PartialKeys& partial;
  PartialRow row;
};

class PartialOps {
 public:
  // weights and plan outlive the object. A layer without a skew has its channels chosen as they are. threads:
  // of the device's lane.
  PartialOps(const ModelWeights& weights, const MemoryPlan& plan, int threads);

  // Returns the count of the outcome that the op produces, 0 for an op that produces none.
  std::int64_t run(const OpContext& context, const PartialRequest& request);

 private:
  struct Scratch {
    std::vector<float> floats;
    std::vector<float> values;         // of the chosen rows
    std::vector<std::int32_t> slots;   // in some order
    std::vector<std::uint32_t> words;  // of the selection
  };

  void partial_keys(const OpContext& context, const PartialRequest& request);
  void choose_columns(const OpContext& context, const PartialRow& row, int kv_head, float* skew) const;
  void copy_column(int layer, int kv_head, int column, float* to) const;
  void keep_key(const void* key, const float* skew, std::byte* to, float* scratch) const;
  std::int64_t partial_select(const OpContext& context, const PartialRequest& request);
  void score(const OpContext& context, const PartialRequest& request, int kv_head, float* skewed) const;
  void take_best(const OpContext& context, const PartialRequest& request, int head, std::int64_t count,
                 Scratch& scratch) const;
  void send_choice(const OpContext& context, const PartialRequest& request) const;
  void pool_row(const OpContext& context, const PartialRequest& request) const;
  void attend_fetched(const OpContext& context, const PartialRequest& request);

  const ModelWeights& weights_;
  const ModelShape& shape_;
  const MemoryPlan& plan_;
  kernels::KvType kv_type_;
  Bytes head_row_;                // one K or V row of one head
  int width_;                     // channels of a partial K row
  Bytes key_row_;                 // one partial K row of one head
  float scale_;                   // 1 / sqrt(head_dim)
  std::vector<Scratch> scratch_;  // by thread
};

}  // namespace hybridgen
