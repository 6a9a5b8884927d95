#include "core/policy/slots.hpp"

#include <algorithm>
#include <utility>

#include "core/base/check.hpp"

namespace hybridgen {
namespace {

bool fits(const RequestShape& request, const RequestShape& slot) {
  return request.most_context() <= slot.most_context() && request.prompt_tokens <= slot.prompt_tokens;
}

// Makes the slot's prompt at least as long; its context stays.
void stretch_prompt(RequestShape& slot, Tokens prompt_tokens) {
  const Tokens context = slot.most_context();
  slot.prompt_tokens = std::max(slot.prompt_tokens, prompt_tokens);
  slot.new_tokens = context + 1 - slot.prompt_tokens;
}

}  // namespace

std::vector<RequestShape> slots_for(const WorkloadShape& workload) {
  const auto size = [](const RequestShape& r) { return std::pair(r.most_context(), r.prompt_tokens); };
  std::vector<RequestShape> slots = workload.requests;
  std::sort(slots.begin(), slots.end(),
            [&](const RequestShape& a, const RequestShape& b) { return size(a) < size(b); });
  const auto kept = std::min(slots.size(), static_cast<std::size_t>(std::max(1, workload.batch)));
  const auto first = slots.end() - static_cast<std::ptrdiff_t>(kept);
  for (auto small = slots.begin(); small != first; ++small) {
    const bool served =
        std::any_of(first, slots.end(), [&](const RequestShape& slot) { return fits(*small, slot); });
    if (!served) stretch_prompt(slots.back(), small->prompt_tokens);
  }
  slots.erase(slots.begin(), first);
  return slots;
}

std::optional<SlotId> free_slot_for(const RequestView& request, const std::vector<RequestShape>& slots,
                                    const std::vector<RequestView>& requests) {
  std::vector<bool> taken(slots.size());
  for (const RequestView& each : requests) {
    if (!each.in_flight()) continue;
    HG_CHECK(each.slot.valid(), "request " << each.id.value << " is in flight without a slot");
    taken.at(each.slot.index()) = true;
  }
  const RequestShape shape{request.prompt_tokens, request.new_tokens};
  for (std::size_t i = 0; i < slots.size(); ++i) {  // the smallest first
    if (!taken[i] && fits(shape, slots[i])) return SlotId(static_cast<std::int64_t>(i));
  }
  return std::nullopt;
}

}  // namespace hybridgen
