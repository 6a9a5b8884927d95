// The slots of a run: how large each is, and who takes which.
#pragma once

#include <optional>
#include <vector>

#include "core/policy/observation.hpp"
#include "core/policy/workload_shape.hpp"

namespace hybridgen {

// The sizes of the batch's slots, smallest context first: those of the `batch` largest requests, so that any
// requests may meet in flight, and no more. The last slot's prompt grows where a smaller request has a longer
// one, so that every request fits it.
std::vector<RequestShape> slots_for(const WorkloadShape& workload);

// The smallest free slot that is large enough for the request; none: it waits. With as many slots as requests
// every request finds the slot of its own size.
std::optional<SlotId> free_slot_for(const RequestView& request, const std::vector<RequestShape>& slots,
                                    const std::vector<RequestView>& requests);

}  // namespace hybridgen
