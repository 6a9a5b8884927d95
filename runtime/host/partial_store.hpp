// What guessing a layer ahead needs of one slot: a few columns of the skewed K on the device, which row of
// the host pool is which, and the buffers by which chosen rows come up.
#pragma once

#include <cstdint>
#include <vector>

#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"
#include "core/residency/pool_eviction.hpp"
#include "runtime/host/tier_memory.hpp"

namespace hybridgen {

// The host pool of one KV head in one layer, by its slots.
struct PoolHead {
  std::vector<std::int32_t> position;  // -1: the slot is free
  std::vector<std::int32_t> reads;     // by query heads, since the row came
  std::vector<std::int32_t> last;      // position of the step that read it last; -1: never
  Tokens rows = 0;

  // The slot that a row at this position takes; evicts first while there are `most` rows or more (0: no
  // bound). Equal victims: the older one.
  Tokens insert(Tokens at, Tokens most, PoolEviction evict);

 private:
  void drop_one(Tokens at, PoolEviction evict);
};

struct PartialLayer {
  float* skew = nullptr;       // device: [kv_heads][columns][head_dim], the columns that the prompt chose
  std::byte* keys = nullptr;   // device: [kv_heads][slots][width] in the KV type
  std::vector<PoolHead> pool;  // by KV head
  std::vector<Tokens> newest;  // by KV head: the slot of the step's new row
};

// One layer's chosen rows on their way; two layers' are alive at once.
struct FetchBuffers {
  std::int32_t* chosen = nullptr;       // device: [query_heads][count], slots by position
  std::int32_t* host_chosen = nullptr;  // the same, sent down
  std::byte* keys = nullptr;            // host: K rows in that order
  std::byte* values = nullptr;          // host: V rows behind them, so that both go up at once
  std::byte* device_keys = nullptr;
  std::byte* device_values = nullptr;
  std::int64_t count = 0;  // rows of each query head
};

class PartialStore {
 public:
  // memory: by tier id.
  PartialStore(const ModelShape& model, const MemoryPlan& plan, SlotId slot, std::vector<TierMemory>& memory);

  PartialLayer& layer(int layer) { return layers_.at(static_cast<std::size_t>(layer - whole_layers_)); }
  FetchBuffers& fetch(int layer) { return fetch_.at(static_cast<std::size_t>(layer % 2)); }
  Tokens slots() const { return slots_; }

  float* scores = nullptr;  // device: [query_heads][slots]

 private:
  int whole_layers_;
  Tokens slots_;
  std::vector<PartialLayer> layers_;
  std::vector<FetchBuffers> fetch_;
};

}  // namespace hybridgen
