#include "runtime/host/partial_keys.hpp"

#include <algorithm>
#include <optional>
#include <tuple>

#include "core/base/check.hpp"
#include "core/policy/model_ops.hpp"

namespace hybridgen {

PoolHead::PoolHead(Tokens slots)
    : position_(static_cast<std::size_t>(slots), -1), reads_(position_.size()), last_(position_.size()) {
  free_.reserve(position_.size());
}

void PoolHead::clear() {
  std::fill(position_.begin(), position_.end(), -1);
  free_.clear();
  taken_ = 0;
}

Tokens PoolHead::insert(Tokens position, Tokens most, PoolEviction evict) {
  while (most > 0 && rows() >= most) drop_one(position, evict);
  Tokens slot = taken_;
  if (free_.empty()) {
    ++taken_;
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  const auto at = static_cast<std::size_t>(slot);
  HG_CHECK(at < position_.size(), "a pool of " << position_.size() << " slots is full");
  position_[at] = static_cast<std::int32_t>(position);
  reads_[at] = 0;
  last_[at] = -1;
  return slot;
}

void PoolHead::read(Tokens slot, Tokens position) {
  ++reads_[static_cast<std::size_t>(slot)];
  last_[static_cast<std::size_t>(slot)] = static_cast<std::int32_t>(position);
}

// The row that ranks lowest, of equal ones the oldest. lru and counter ask the older half of the positions,
// or all rows where none of them is that old.
void PoolHead::drop_one(Tokens position, PoolEviction evict) {
  const auto rank_of = [&](std::size_t slot) {
    const std::int32_t at = position_[slot];
    const bool older = evict == PoolEviction::fifo || at < position / 2;
    const std::int32_t rank = evict == PoolEviction::lru       ? last_[slot]
                              : evict == PoolEviction::counter ? reads_[slot]
                                                               : 0;
    return std::tuple(!older, rank, at);
  };
  std::optional<std::size_t> victim;
  for (std::size_t slot = 0; slot < static_cast<std::size_t>(taken_); ++slot) {
    if (position_[slot] >= 0 && (!victim || rank_of(slot) < rank_of(*victim))) victim = slot;
  }
  HG_CHECK(victim, "an empty pool has no row to drop");
  position_[*victim] = -1;
  free_.push_back(static_cast<std::int32_t>(*victim));
}

PartialKeys::PartialKeys(const ModelShape& model, const MemoryPlan& plan, SlotId slot, TierMemory& device)
    : whole_layers_(plan.whole_layers), slots_(plan.slots.at(slot.index()).pool_slots) {
  const auto heads = static_cast<std::size_t>(model.kv_heads);
  for (int layer = whole_layers_; layer < model.layers; ++layer) {
    Layer& each = layers_.emplace_back();
    each.skew = device.array<float>(model.kv_width() * plan.partial.columns);
    each.keys = device.allocate(slots_ * partial_row_bytes(model, plan));
    each.pool.assign(heads, PoolHead(slots_));
    each.newest.resize(heads);
  }
}

}  // namespace hybridgen
