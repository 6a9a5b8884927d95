#include "runtime/host/partial_store.hpp"

#include <algorithm>
#include <tuple>

#include "core/base/check.hpp"
#include "core/policy/model_ops.hpp"

namespace hybridgen {

Tokens PoolHead::insert(Tokens at, Tokens most, PoolEviction evict) {
  while (most > 0 && rows >= most) drop_one(at, evict);
  const auto free = std::find(position.begin(), position.end(), -1);
  HG_CHECK(free != position.end(), "a pool of " << position.size() << " slots is full");
  const auto slot = static_cast<std::size_t>(free - position.begin());
  position[slot] = static_cast<std::int32_t>(at);
  reads[slot] = 0;
  last[slot] = -1;
  ++rows;
  return static_cast<Tokens>(slot);
}

void PoolHead::drop_one(Tokens at, PoolEviction evict) {
  const auto older_half = [&](std::int32_t p) { return evict == PoolEviction::fifo || p < at / 2; };
  const bool any_older =
      std::any_of(position.begin(), position.end(), [&](std::int32_t p) { return p >= 0 && older_half(p); });
  std::size_t victim = position.size();
  std::tuple<std::int32_t, std::int32_t> least;
  for (std::size_t slot = 0; slot < position.size(); ++slot) {
    if (position[slot] < 0 || (any_older && !older_half(position[slot]))) continue;
    const std::int32_t rank = evict == PoolEviction::fifo  ? 0
                              : evict == PoolEviction::lru ? last[slot]
                                                           : reads[slot];
    const std::tuple each(rank, position[slot]);
    if (victim == position.size() || each < least) {
      least = each;
      victim = slot;
    }
  }
  HG_CHECK(victim < position.size(), "nothing to evict");
  position[victim] = -1;
  --rows;
}

PartialStore::PartialStore(const ModelShape& model, const MemoryPlan& plan, SlotId slot,
                           std::vector<TierMemory>& memory)
    : whole_layers_(plan.whole_layers), slots_(plan.slots.at(slot.index()).pool_slots) {
  TierMemory& device = memory.at(plan.device_tier.index());
  TierMemory& host = memory.at(plan.host_k_tier.index());
  const auto heads = static_cast<std::size_t>(model.kv_heads);
  const std::int64_t columns = plan.partial.columns;
  const Bytes key_row = partial_width(plan.partial.columns) * bytes_of(plan.kv_dtype);
  const auto slots = static_cast<std::size_t>(slots_);
  for (int layer = whole_layers_; layer < model.layers; ++layer) {
    PartialLayer& each = layers_.emplace_back();
    each.skew = device.array<float>(model.kv_heads * columns * model.head_dim);
    each.keys = device.allocate(model.kv_heads * slots_ * key_row);
    each.newest.resize(heads);
    each.pool.resize(heads);
    for (PoolHead& head : each.pool) {
      head.position.assign(slots, -1);
      head.reads.assign(slots, 0);
      head.last.assign(slots, -1);
    }
  }
  scores = device.array<float>(model.query_heads * slots_);
  const std::int64_t rows = model.query_heads * plan.slots.at(slot.index()).exchange_rows_per_head;
  const Bytes packed = rows * model.head_dim * bytes_of(plan.kv_dtype);
  for (int i = 0; i < 2; ++i) {
    FetchBuffers& each = fetch_.emplace_back();
    each.chosen = device.array<std::int32_t>(rows);
    each.host_chosen = host.array<std::int32_t>(rows);
    each.keys = host.allocate(packed);
    each.values = host.allocate(packed);
    each.device_keys = device.allocate(packed);
    each.device_values = device.allocate(packed);
  }
}

}  // namespace hybridgen
