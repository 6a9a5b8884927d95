// The ops of a policy that guesses a layer ahead by a few columns of the skewed Q and K (InfiniGen): what the
// device keeps and chooses, what the host gathers, and the attention over what came up.
#pragma once

#include <vector>

#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"
#include "runtime/host/op_context.hpp"
#include "runtime/host/partial_store.hpp"
#include "runtime/host/request_buffers.hpp"

namespace hybridgen {

// The op's request in the step: where its queries (after rotation) and its attention lie.
struct PartialRow {
  Tokens first_position = 0;
  Tokens query_tokens = 1;
  const float* query = nullptr;  // [query_tokens][stride], of which the first q_width
  std::int64_t stride = 0;
  const float* predicted = nullptr;  // [query_heads][head_dim], of the op's layer
  float* attended = nullptr;         // [query_heads][head_dim]
};

class PartialOps {
 public:
  // Both outlive the object. skew: by layer [kv_heads][head_dim][head_dim], column by column; null: the
  // channels as they are. threads: of the largest lane.
  PartialOps(const ModelShape& shape, const MemoryPlan& plan, std::vector<const float*> skew, int threads);

  // Returns the count of the outcome that the op produces, 0 for an op that produces none.
  std::int64_t run(const OpContext& context, RequestBuffers& request, PartialStore& store,
                   const PartialRow& row);

 private:
  void partial_keys(const OpContext& context, RequestBuffers& request, PartialStore& store,
                    const PartialRow& row);
  void choose_columns(int layer, PartialLayer& of, int head, const PartialRow& row) const;
  void copy_column(int layer, int head, std::int32_t column, float* to) const;
  std::int64_t partial_select(const OpContext& context, PartialStore& store, const PartialRow& row);
  void score(PartialStore& store, const PartialLayer& of, std::int64_t kv, Tokens slots,
             const PartialRow& row, int thread);
  struct Scratch {
    std::vector<float> floats;
    std::vector<float> values;
    std::vector<std::int32_t> slots;
    std::vector<std::uint32_t> words;
  };
  void take_best(const float* scores, const PoolHead& pool, Tokens slots, std::int64_t count,
                 std::int32_t* chosen, Scratch& scratch) const;
  void send_choice(const OpContext& context, PartialStore& store);
  void pool_row(const OpContext& context, RequestBuffers& request, PartialStore& store,
                const PartialRow& row);
  void gather_kv(const OpContext& context, RequestBuffers& request, PartialStore& store);
  void send_kv(const OpContext& context, PartialStore& store);
  void attend_fetched(const OpContext& context, RequestBuffers& request, PartialStore& store,
                      const PartialRow& row);

  const ModelShape& shape_;
  const MemoryPlan& plan_;
  std::vector<const float*> skew_;  // by layer
  kernels::KvType kv_type_;
  Bytes head_row_;                // one K or V row of one head
  int width_;                     // channels of a partial K row
  Bytes key_row_;                 // one partial K row of one head
  float scale_;                   // 1 / sqrt(head_dim)
  std::vector<Scratch> scratch_;  // by thread
};

}  // namespace hybridgen
