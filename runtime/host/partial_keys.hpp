// What the device keeps of one slot's host rows to choose among them: a few columns of the skewed K, and
// which row lies where in the host's pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"
#include "runtime/host/tier_memory.hpp"

namespace hybridgen {

// The pool of one KV head in one layer, by its slots. A slot that is given up is the next to be taken.
class PoolHead {
 public:
  explicit PoolHead(Tokens slots);

  // The row's position; -1: the slot is free.
  std::int32_t position(Tokens slot) const { return position_[static_cast<std::size_t>(slot)]; }
  Tokens rows() const { return taken_ - static_cast<Tokens>(free_.size()); }

  void clear();
  // The slot that a row at this position takes; rows leave first while there are `most` or more (0: no
  // bound).
  Tokens insert(Tokens position, Tokens most, PoolEviction evict);
  // One query head reads the row in this slot for the token at `position`.
  void read(Tokens slot, Tokens position);

 private:
  void drop_one(Tokens position, PoolEviction evict);

  std::vector<std::int32_t> position_;
  std::vector<std::int32_t> reads_;  // by query heads, since the row came
  std::vector<std::int32_t> last_;   // position of the token that read it last; -1: none
  std::vector<std::int32_t> free_;   // among the slots taken so far
  Tokens taken_ = 0;                 // slots [0, taken_) have been taken
};

class PartialKeys {
 public:
  PartialKeys(const ModelShape& model, const MemoryPlan& plan, SlotId slot, TierMemory& device);

  struct Layer {
    float* skew = nullptr;       // [kv_heads][columns][head_dim], the columns that the prompt chose
    std::byte* keys = nullptr;   // [kv_heads][slots][width] in the KV type
    std::vector<PoolHead> pool;  // by KV head
    std::vector<Tokens> newest;  // by KV head: the slot of the step's new row
  };
  // From whole_layers on.
  Layer& layer(int layer) { return layers_.at(static_cast<std::size_t>(layer - whole_layers_)); }
  Tokens slots() const { return slots_; }

 private:
  int whole_layers_;
  Tokens slots_;
  std::vector<Layer> layers_;
};

}  // namespace hybridgen
