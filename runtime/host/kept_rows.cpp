#include "runtime/host/kept_rows.hpp"

#include "core/base/check.hpp"

namespace hybridgen {

KeptRows::KeptRows(int kv_heads, Tokens slots, TierMemory& memory)
    : slots_(slots),
      positions_(memory.array<std::int32_t>(kv_heads * slots)),
      mass_(memory.array<float>(kv_heads * slots)),
      next_(static_cast<std::size_t>(kv_heads)) {}

void KeptRows::in_order() {
  for (int head = 0; head < static_cast<int>(next_.size()); ++head) {
    for (Tokens slot = 0; slot < slots_; ++slot) describe(head, slot, slot, 0);
  }
}

void KeptRows::set_used(Tokens used) {
  HG_CHECK(0 < used && used <= slots_, used << " rows in " << slots_ << " slots");
  used_ = used;
}

void KeptRows::describe(int kv_head, Tokens slot, std::int64_t position, float mass) {
  positions_[at(kv_head) + slot] = static_cast<std::int32_t>(position);
  mass_[at(kv_head) + slot] = mass;
}

void KeptRows::take_slot(int kv_head, Tokens slot, std::int64_t position, float mass) {
  describe(kv_head, slot, position, mass);
  next_[static_cast<std::size_t>(kv_head)] = slot;
}

}  // namespace hybridgen
